//! The HTTP side: WebSockets anywhere, files, and two addresses for whoever watches the relay.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use coweave_core::ids::{RoomName, SessionKey};
use coweave_core::link::Link;
use coweave_core::wire::v1::SUBPROTOCOL;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, AdminToken};
use crate::connection;
use crate::door::Guest;
use crate::files;
use crate::hub::Hub;
use crate::origin::Origins;
use crate::websocket::{Socket, handshake};

/// What requests need.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) hub: Arc<Hub>,
    pub(crate) static_dir: Option<Arc<Path>>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) admin_token: Option<AdminToken>,
    /// Cancelled when the relay shuts down.
    pub(crate) drain: CancellationToken,
    pub(crate) connections: TaskTracker,
}

/// All addresses. There is one handler, because any path may be the name of a room.
pub(crate) fn router(site: Site) -> Router {
    Router::new().fallback(answer).with_state(site)
}

async fn answer(
    State(site): State<Site>,
    Extension(guest): Extension<Arc<Guest>>,
    request: Request,
) -> Response {
    if handshake::is_asked_for(request.headers()) {
        return open_socket(site, guest, request);
    }
    if let Some(token) = site.admin_token.as_ref().filter(|_| admin::is_for(&request)) {
        let (head, _body) = request.into_parts();
        return admin::answer(&site.hub, token, &head).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    match request.uri().path() {
        "/healthz" => "ok".into_response(),
        "/readyz" => readiness(&site),
        path => files::answer(site.static_dir.as_deref(), path).await,
    }
}

fn readiness(site: &Site) -> Response {
    if site.drain.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "the relay is shutting down").into_response()
    } else if site.hub.writer.is_failing() {
        (StatusCode::SERVICE_UNAVAILABLE, "the store fails").into_response()
    } else {
        "ok".into_response()
    }
}

fn open_socket(site: Site, guest: Arc<Guest>, mut request: Request) -> Response {
    let headers = request.headers();
    if !site.origins.allow(headers) {
        let text = "pages of this origin are not let in; start the relay with --allow-origin";
        tracing::info!(origin = ?headers.get(header::ORIGIN), "a page was not let in");
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let subprotocol = handshake::offers(headers, SUBPROTOCOL).then_some(SUBPROTOCOL);
    let answer = match handshake::answer(&request, subprotocol) {
        Ok(answer) => answer,
        Err(refusal) => return refusal.into_response(),
    };
    let (limits, clock) = (site.hub.limits.clone(), site.hub.clock);
    let link = Box::new(if subprotocol.is_some() {
        Link::v1(limits, clock.now())
    } else {
        let room = match room_in(request.uri().path()) {
            Ok(room) => room,
            Err(problem) => return (StatusCode::BAD_REQUEST, problem).into_response(),
        };
        let mut key = [0; 16];
        if let Err(error) = getrandom::fill(&mut key) {
            tracing::error!(%error, "the system gives no random numbers");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Link::y_websocket(room, SessionKey(key), limits, clock.now())
    });
    let upgrade = hyper::upgrade::on(&mut request);
    let Site { hub, drain, connections, .. } = site;
    let entering = Arc::clone(&guest);
    let task = connections.spawn(async move {
        if let Some(socket) = switch(upgrade, link.frame_bytes_max()).await {
            connection::serve(socket, link, guest, hub, drain).await;
        }
    });
    entering.is_served_by(task.abort_handle());
    answer
}

/// Waits until the answer is written, and takes the stream back from HTTP.
async fn switch(upgrade: OnUpgrade, message_bytes_max: usize) -> Option<Socket> {
    let upgraded = upgrade.await.map_err(|error| {
        tracing::debug!(%error, "a connection ended before it was a WebSocket");
    });
    match upgraded.ok()?.downcast::<TokioIo<TcpStream>>() {
        Ok(Parts { io, read_buf, .. }) => {
            Some(Socket::new(io.into_inner(), &read_buf, message_bytes_max))
        }
        Err(_upgraded) => {
            tracing::error!("a bug: HTTP gives back another stream than it was given");
            None
        }
    }
}

/// The room of a y-websocket client: its path without the first slash.
fn room_in(path: &str) -> Result<RoomName, String> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_not_utf8| "a room name has to be UTF-8 text".to_owned())?;
    RoomName::parse(&name).map_err(|error| error.to_string())
}
