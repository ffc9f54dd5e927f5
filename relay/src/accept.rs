//! Takes connections until it is told to stop, and gives up those that never finish a request.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::door::Door;

/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What a connection above the limit hears, without having asked.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 60\r\n\r\n\
    relay.full: the relay has as many connections as it may have";

/// Serves the router on all connections. A client has this long to send the head of a request.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    door: Arc<Door>,
    head_limit: Duration,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_limit).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => match door.enter() {
                Some(guest) => {
                    let guest = Arc::new(guest);
                    let router = router.clone().layer(Extension(Arc::clone(&guest)));
                    let task = tokio::spawn(serve(http.clone(), stream, router, stop.clone()));
                    guest.is_served_by(task.abort_handle());
                }
                None => {
                    tracing::warn!("a connection is turned away: there are as many as may be");
                    let _it_may_not_listen = stream.try_write(FULL);
                }
            },
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted at the moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it is closed or becomes a WebSocket.
async fn serve(http: http1::Builder, stream: TcpStream, router: Router, stop: CancellationToken) {
    // Edits are small and should go out at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
