//! A bare broadcast server on the WebSocket stack of our relay, with one write for each message.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Outcome;
use crate::serve::{Bare, bare_answer, bind};

/// The buffers that our relay gives a connection.
const READ_BUFFER_BYTES: usize = 8 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// The members of all rooms.
type Rooms = Arc<Mutex<HashMap<String, Vec<UnboundedSender<Bytes>>>>>;

pub(super) async fn serve(address: SocketAddr) -> Outcome {
    let router = Router::new().route("/{room}", get(open)).with_state(Rooms::default());
    let listener = bind(address).await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn open(
    upgrade: WebSocketUpgrade,
    Path(room): Path<String>,
    State(rooms): State<Rooms>,
) -> Response {
    upgrade.read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(WRITE_BUFFER_BYTES).on_upgrade(
        move |socket| async move {
            let (sender, receiver) = unbounded_channel();
            with_room(&rooms, &room, |members| members.push(sender.clone()));
            run(socket, receiver, &rooms, &room, &sender).await;
            with_room(&rooms, &room, |members| {
                members.retain(|member| !member.same_channel(&sender));
            });
        },
    )
}

fn with_room<T>(
    rooms: &Rooms,
    room: &str,
    act: impl FnOnce(&mut Vec<UnboundedSender<Bytes>>) -> T,
) -> T {
    act(rooms.lock().unwrap_or_else(PoisonError::into_inner).entry(room.to_owned()).or_default())
}

async fn run(
    mut socket: WebSocket,
    mut receiver: UnboundedReceiver<Bytes>,
    rooms: &Rooms,
    room: &str,
    own: &UnboundedSender<Bytes>,
) {
    loop {
        let answer = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(message))) => match bare_answer(&message) {
                    Bare::Answer(answer) => Bytes::from_static(answer),
                    Bare::Ignore => continue,
                    Bare::PassOn => {
                        with_room(rooms, room, |members| {
                            for member in members.iter().filter(|member| !member.same_channel(own)) {
                                let _is_leaving = member.send(message.clone());
                            }
                        });
                        continue;
                    }
                },
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            Some(message) = receiver.recv() => message,
        };
        if socket.send(Message::Binary(answer)).await.is_err() {
            return;
        }
    }
}
