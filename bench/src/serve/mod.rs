//! Servers to compare with that are part of this program: `coweave-bench serve <name> <address>`.

mod merged;
mod one_write;
mod yrs_axum;

use std::future::Future;
use std::net::SocketAddr;

use crate::Outcome;

/// Serves until the process is killed.
pub(crate) fn run(name: &str, address: &str) -> Outcome {
    let address = address.parse()?;
    match name {
        "merged" => merged::serve(address),
        "one-write" => on_tokio(one_write::serve(address)),
        "yrs-axum" => on_tokio(yrs_axum::serve(address)),
        _ => Err(format!("there is no server {name}").into()),
    }
}

/// The runtime of our relay.
fn on_tokio(serving: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serving)
}

async fn bind(address: SocketAddr) -> Outcome<tokio::net::TcpListener> {
    Ok(tokio::net::TcpListener::bind(address).await?)
}

/// What a server without documents answers to a message: a client that asks for the state gets an
/// empty one, and everything else of the handshake goes nowhere.
pub(crate) fn bare_answer(message: &[u8]) -> Bare {
    match message {
        [0, 0, ..] => Bare::Answer(&[0, 1, 2, 0, 0]),
        [0, 1, ..] => Bare::Ignore,
        _ => Bare::PassOn,
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bare {
    Answer(&'static [u8]),
    Ignore,
    PassOn,
}
