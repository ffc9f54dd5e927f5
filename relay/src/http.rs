//! The HTTP side: WebSockets anywhere, files, and two addresses for whoever watches the relay.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use coweave_core::ids::{RoomName, SessionKey};
use coweave_core::link::Link;
use coweave_core::wire::v1::SUBPROTOCOL;
use percent_encoding::percent_decode_str;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, AdminToken};
use crate::connection;
use crate::files;
use crate::hub::Hub;
use crate::meter::Meter;
use crate::origin::Origins;
use crate::socket::Socket;

/// Buffers of a WebSocket: most connections are quiet most of the time.
const READ_BUFFER_BYTES: usize = 8 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;

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
    Extension(meter): Extension<Meter>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if headers.contains_key(header::UPGRADE) {
        if !site.origins.allow(&headers) {
            let text = "pages of this origin are not let in; start the relay with --allow-origin";
            tracing::info!(origin = ?headers.get(header::ORIGIN), "a page was not let in");
            return (StatusCode::FORBIDDEN, text).into_response();
        }
        return match upgrade {
            Ok(upgrade) => open_socket(site, meter, &uri, upgrade),
            Err(rejection) => rejection.into_response(),
        };
    }
    if let Some(token) = site.admin_token.as_ref().filter(|_| uri.path().starts_with(admin::ROOMS))
    {
        return admin::answer(&site.hub, token, &method, uri.path(), &headers).await;
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    match uri.path() {
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

fn open_socket(site: Site, meter: Meter, uri: &Uri, mut upgrade: WebSocketUpgrade) -> Response {
    let (limits, clock) = (site.hub.limits.clone(), site.hub.clock);
    let frame_bytes_max = limits.frame_bytes_max;
    let link = if upgrade.requested_protocols().any(|offered| offered == SUBPROTOCOL) {
        upgrade.set_selected_protocol(HeaderValue::from_static(SUBPROTOCOL));
        Link::v1(limits, clock.now())
    } else {
        let room = match room_in(uri.path()) {
            Ok(room) => room,
            Err(problem) => return (StatusCode::BAD_REQUEST, problem).into_response(),
        };
        let mut key = [0; 16];
        if let Err(error) = getrandom::fill(&mut key) {
            tracing::error!(%error, "the system gives no random numbers");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Link::y_websocket(room, SessionKey(key), limits, clock.now())
    };
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_frame_size(frame_bytes_max)
        .max_message_size(frame_bytes_max)
        .on_upgrade(move |socket| async move {
            let Site { hub, drain, connections, .. } = site;
            let serving = connection::serve(Socket::new(socket, meter), link, hub, drain);
            connections.track_future(serving).await;
        })
}

/// The room of a y-websocket client: its path without the first slash.
fn room_in(path: &str) -> Result<RoomName, String> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_not_utf8| "a room name has to be UTF-8 text".to_owned())?;
    RoomName::parse(&name).map_err(|error| error.to_string())
}
