//! `cargo xtask bench relay`: our relay, its peers and two bare servers under the same load.

mod crowd;
mod dialect;
mod latency;
mod net;
mod options;
mod peers;
mod presence;
mod process;
mod report;
mod scenario;
mod serve;
mod text;
mod update;
mod websocket;

use std::process::ExitCode;

/// The result of everything here that can fail.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name, address] => serve::run(name, address),
        _ => options::Options::read(&arguments).and_then(|options| scenario::run(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
