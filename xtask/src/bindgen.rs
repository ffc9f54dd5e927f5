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
    let generated = bindgen.web(true).and_then(|web| web.generate(out_dir));
    generated.map_err(|error| format!("{error:#}"))?;
    rewrite(out_dir, "js", per_instance)?;
    rewrite(out_dir, "d.ts", types_per_instance)
}

fn rewrite(
    out_dir: &OsStr,
    extension: &str,
    change: impl FnOnce(&str) -> Result<String, String>,
) -> Result<(), String> {
    let path = Path::new(out_dir).join(NAME).with_extension(extension);
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
