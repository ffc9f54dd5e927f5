//! Makes the JavaScript side of a wasm module: `bindgen <module.wasm> <out-dir>`.

use std::env::args_os;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

#[expect(clippy::print_stderr, reason = "a command line tool speaks to a terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = args_os().skip(1).collect();
    let [input, out_dir] = arguments.as_slice() else {
        eprintln!("usage: bindgen <module.wasm> <out-dir>");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name("coweave").typescript(true);
    // The package's entries hand the module in, each as its environment can: see npm/README.md.
    bindgen.omit_default_module_path(true);
    match bindgen.web(true).and_then(|web| web.generate(out_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
