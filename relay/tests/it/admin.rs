//! Whoever runs the relay looks at rooms and deletes them, and nobody else does.

use std::net::SocketAddr;

use coweave_core::error::Code;
use coweave_core::ids::Channel;
use coweave_core::limits::Limits;
use coweave_relay::admin::AdminToken;
use coweave_relay::{Config, Relay};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::setup::{TestRelay, config};
use crate::v1_client::V1Client;

const SECRET: &str = "0123456789abcdef";

/// The head and the body of an answer.
async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    authorization: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{authorization}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

async fn start(folder: &TempDir) -> Relay {
    let config = Config {
        data_dir: folder.path().to_owned(),
        admin_token: Some(AdminToken::parse(SECRET).unwrap()),
        ..config(Limits::default())
    };
    Relay::start(config).await.unwrap()
}

#[tokio::test]
async fn a_room_is_shown_and_deleted_for_whoever_has_the_token() {
    let folder = TempDir::new().unwrap();
    let relay = start(&folder).await;
    let address = relay.local_addr();
    let bearer = format!("authorization: Bearer {SECRET}\r\n");
    let path = "/rooms/notes%2Fa%20%C3%A4";
    assert_eq!(ask(address, "GET", path, &bearer).await.0, 404);
    assert_eq!(ask(address, "DELETE", path, &bearer).await.0, 404);

    let mut ann = V1Client::connect(address, 1).await;
    let before = ann.enter(Channel(1), "notes/a ä").await;
    let number = ann.write("text").await;
    ann.wait_for_durable(number).await;
    let (status, head, body) = ask(address, "GET", path, &bearer).await;
    assert_eq!(status, 200);
    assert!(head.contains("application/json"), "{head}");
    assert!(body.contains(&format!("\"lineage\":\"{:?}\"", before.lineage)), "{body}");
    assert!(body.contains("\"sequence\":1,") && body.contains("\"members\":1"), "{body}");

    assert_eq!(ask(address, "DELETE", path, &bearer).await.0, 204);
    assert_eq!(ann.wait_for_error().await.code, Code::RoomDeleted);
    assert_eq!(ask(address, "GET", path, &bearer).await.0, 404);
    assert_eq!(ask(address, "DELETE", path, &bearer).await.0, 404);
    // The next room of that name is another one, and the old copy is told.
    ann.ask_to_enter(Channel(1), "notes/a ä", Some(before.lineage)).await;
    assert_eq!(ann.wait_for_error().await.code, Code::RoomDeleted);
    let mut ben = V1Client::connect(address, 2).await;
    let after = ben.enter(Channel(1), "notes/a ä").await;
    assert_ne!(after.lineage, before.lineage);
    assert_eq!(ben.text(), "");
}

#[tokio::test]
async fn nobody_else_sees_or_deletes_a_room() {
    let folder = TempDir::new().unwrap();
    let relay = start(&folder).await;
    let address = relay.local_addr();
    V1Client::join(address, 1, "notes").await;
    for (authorization, status) in [
        ("", 401),
        ("authorization: Basic 0123456789abcdef\r\n", 401),
        ("authorization: Bearer\r\n", 401),
        ("authorization: Bearer 0123456789abcdeF\r\n", 403),
        ("authorization: Bearer 0123456789abcdef0\r\n", 403),
    ] {
        for method in ["GET", "DELETE", "PUT"] {
            let (is, head, _) = ask(address, method, "/rooms/notes", authorization).await;
            assert_eq!(is, status, "{method} with {authorization:?}");
            assert!(head.contains("www-authenticate: Bearer"), "{head}");
        }
    }
    let bearer = format!("authorization: bearer {SECRET}\r\n");
    assert_eq!(ask(address, "GET", "/rooms/notes", &bearer).await.0, 200);
    assert_eq!(ask(address, "PUT", "/rooms/notes", &bearer).await.0, 405);
    assert_eq!(ask(address, "GET", "/rooms/", &bearer).await.0, 400);
    assert_eq!(ask(address, "GET", "/rooms/%ff", &bearer).await.0, 400);

    // Without a token there is nothing.
    let relay = TestRelay::start().await;
    V1Client::join(relay.address(), 1, "notes").await;
    assert_eq!(ask(relay.address(), "GET", "/rooms/notes", &bearer).await.0, 404);
    assert_eq!(ask(relay.address(), "DELETE", "/rooms/notes", &bearer).await.0, 405);
}
