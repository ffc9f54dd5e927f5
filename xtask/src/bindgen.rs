//! Makes the JavaScript side of a wasm module: `bindgen <module.wasm> <out-dir>`.
//!
//! wasm-bindgen writes a module that holds one instance. The package needs another one when an
//! instance trapped, so all that belongs to an instance becomes the body of a function.

use std::env::args_os;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

const NAME: &str = "coweave";

#[expect(clippy::print_stderr, reason = "a command line tool speaks to a terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = args_os().skip(1).collect();
    let [input, out_dir] = arguments.as_slice() else {
        eprintln!("usage: bindgen <module.wasm> <out-dir>");
        return ExitCode::from(2);
    };
    match generate(input, out_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(input: &OsStr, out_dir: &OsStr) -> Result<(), String> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name(NAME).typescript(true);
    // The package's entries hand the module in, each as its environment can: see npm/README.md.
    bindgen.omit_default_module_path(true);
    let failed = |error| format!("{error:#}");
    let mut output = bindgen.web(true).and_then(Bindgen::generate_output).map_err(failed)?;
    let module = output.wasm_mut();
    let imports = module.imports.iter_mut().map(|import| &mut import.name);
    let renamed = shorten(imports.chain(module.exports.iter_mut().map(|export| &mut export.name)));
    output.emit(out_dir).map_err(failed)?;
    let rename =
        |text: String| renamed.iter().fold(text, |text, (from, to)| text.replace(from, to));
    rewrite(out_dir, ".js", |code| per_instance(code).map(rename))?;
    rewrite(out_dir, ".d.ts", types_per_instance)?;
    rewrite(out_dir, "_bg.wasm.d.ts", |types| Ok(rename(types.to_owned())))
}

/// Numbers instead of the hashes at the ends of names, which no compression makes smaller: what is
/// renamed, with its new name.
fn shorten<'n>(names: impl Iterator<Item = &'n mut String>) -> Vec<(String, String)> {
    let mut stems: Vec<String> = Vec::new();
    let mut renamed = Vec::new();
    for name in names {
        let Some((stem, hash)) = name.rsplit_once('_') else { continue };
        let digits = hash.trim_start_matches('h');
        if digits.len() != 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            continue;
        }
        let number = stems.iter().filter(|other| *other == stem).count();
        stems.push(stem.to_owned());
        let short = format!("{stem}_{number}");
        renamed.push((std::mem::replace(name, short.clone()), short));
    }
    renamed
}

fn rewrite(
    out_dir: &OsStr,
    ending: &str,
    change: impl FnOnce(&str) -> Result<String, String>,
) -> Result<(), String> {
    let path = Path::new(out_dir).join(format!("{NAME}{ending}"));
    let failed = |what: &str| format!("{}: {what}", path.display());
    let before = fs::read_to_string(&path).map_err(|error| failed(&error.to_string()))?;
    let after = change(&before).map_err(|missing| {
        failed(&format!(
            "wasm-bindgen does not write {missing:?} any more: adapt xtask/src/bindgen.rs"
        ))
    })?;
    fs::write(&path, after).map_err(|error| failed(&error.to_string()))
}

/// The classes of one instance as what a function gives back, which the caller can let go of.
fn per_instance(code: &str) -> Result<String, String> {
    let (body, _loader) = before("let wasmModule, wasmInstance, wasm;", code)?;
    let classes = classes(body)?.join(", ");
    // Views of the memory would keep it alive.
    let views: String = body
        .lines()
        .filter_map(|line| line.strip_prefix("let ")?.strip_suffix(" = null;"))
        .map(|view| format!("    {view} = null;\n"))
        .collect();
    let body = body.replace("export class ", "class ");
    Ok(format!(
        "/** Makes an instance of the module; its exports are used as `protect` gives them back. */
export function instantiate(module, protect) {{
{body}let wasm = protect(new WebAssembly.Instance(module, __wbg_get_imports()).exports);
wasm.__wbindgen_start();
function release() {{
{views}}}
return {{ {classes}, release }};
}}
"
    ))
}

fn types_per_instance(types: &str) -> Result<String, String> {
    let (body, _loader) = before("export type InitInput", types)?;
    let classes: String = classes(body)?
        .iter()
        .map(|class| format!("    readonly {class}: typeof {class};\n"))
        .collect();
    let body = body.replace("export class ", "declare class ");
    Ok(format!(
        "{body}export declare function instantiate(
    module: WebAssembly.Module,
    protect: (exports: WebAssembly.Exports) => WebAssembly.Exports,
): {{
{classes}    /** Lets go of the memory. */
    readonly release: () => void;
}};
export {{}};
"
    ))
}

fn before<'t>(mark: &str, text: &'t str) -> Result<(&'t str, &'t str), String> {
    text.split_once(mark).ok_or_else(|| mark.to_owned())
}

fn classes(text: &str) -> Result<Vec<&str>, String> {
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("export class ")?.split_once(' '))
        .map(|(name, _body)| name)
        .collect();
    if names.is_empty() { Err("export class".to_owned()) } else { Ok(names) }
}
