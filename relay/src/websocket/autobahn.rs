//! An echo on the relay's codec, for the fuzzing client of the Autobahn suite. That needs Python 2.7
//! and is not run with the other tests:
//!
//! ```sh
//! COWEAVE_ECHO=127.0.0.1:9001 cargo test -p coweave-relay autobahn -- --ignored
//! wstest -m fuzzingclient   # "cases": ["1.2.*", "2.*", "4.*", "5.1", "5.2", "7.3.*", "7.5.1", …]
//! ```
//!
//! The cases with text messages cannot pass: the relay refuses these when they begin.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use coweave_core::limits::Limits;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Event, Socket, handshake};
use crate::accept::accept;
use crate::door::Door;

const MESSAGE_BYTES_MAX: usize = 32 << 20;

#[tokio::test]
#[ignore = "it serves until it is stopped"]
async fn autobahn_echo() {
    let address = std::env::var("COWEAVE_ECHO").unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let router = Router::new().fallback(answer);
    let door = Door::new(&Limits::default());
    accept(listener, router, door, Duration::from_secs(10), CancellationToken::new()).await;
}

async fn answer(mut request: Request) -> Response {
    let answer = match handshake::answer(&request, None) {
        Ok(answer) => answer,
        Err(refusal) => return refusal.into_response(),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let parts = upgrade.await.unwrap().downcast::<TokioIo<TcpStream>>();
        let Parts { io, read_buf, .. } = parts.unwrap();
        echo(Socket::new(io.into_inner(), &read_buf, MESSAGE_BYTES_MAX)).await;
    });
    answer
}

async fn echo(mut socket: Socket) {
    loop {
        match socket.next(!socket.is_behind()).await {
            Event::Binary(message) => socket.send(message),
            Event::Text => socket.close(1003, "text"),
            Event::Oversized => socket.close(1009, "large"),
            Event::Flushed | Event::Alive | Event::Partial | Event::Closing => {}
            Event::Ended => return,
        }
    }
}
