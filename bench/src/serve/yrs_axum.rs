//! The crate yrs-axum as a server: a broadcast group for each room, documents in memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use futures_util::StreamExt as _;
use tokio::sync::{Mutex, RwLock};
use yrs_0_18::Doc;
use yrs_0_18::sync::Awareness;
use yrs_axum::broadcast::BroadcastGroup;
use yrs_axum::ws::{AxumSink, AxumStream};

use crate::Outcome;
use crate::serve::bind;

/// Messages that a reader may be behind before the crate cuts it off.
const BUFFER: usize = 4096;

type Rooms = Arc<Mutex<HashMap<String, Arc<BroadcastGroup>>>>;

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
    upgrade.on_upgrade(move |socket| async move {
        let group = group(&rooms, room).await;
        run(socket, &group).await;
    })
}

async fn group(rooms: &Rooms, room: String) -> Arc<BroadcastGroup> {
    let mut rooms = rooms.lock().await;
    if let Some(group) = rooms.get(&room) {
        return Arc::clone(group);
    }
    let awareness = Arc::new(RwLock::new(Awareness::new(Doc::new())));
    let group = Arc::new(BroadcastGroup::new(awareness, BUFFER).await);
    rooms.insert(room, Arc::clone(&group));
    group
}

async fn run(socket: WebSocket, group: &BroadcastGroup) {
    let (sink, stream) = socket.split();
    let sink = Arc::new(Mutex::new(AxumSink::from(sink)));
    let _is_over = group.subscribe(sink, AxumStream::from(stream)).completed().await;
}
