//! A relay in this process, and the smallest HTTP client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coweave_core::limits::Limits;
use coweave_relay::store::{OpenError, Store};
use coweave_relay::{Config, Drained, Relay, StartError};
use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Longer than anything here takes, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A relay over a folder that outlives it.
pub(crate) struct TestRelay {
    pub(crate) relay: Relay,
    pub(crate) folder: TempDir,
}

pub(crate) fn config(mut limits: Limits) -> Config {
    // Many tests wait for each single edit to be durable.
    limits.commit_interval = Duration::ZERO;
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), limits, ..Config::default() }
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        Self::start_in(TempDir::new().unwrap(), limits).await
    }

    pub(crate) async fn start_in(folder: TempDir, limits: Limits) -> Self {
        let config = Config { data_dir: folder.path().to_owned(), ..config(limits) };
        let relay = tokio::time::timeout(PATIENCE, start_unlocked(config)).await.unwrap();
        Self { relay, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.relay.local_addr()
    }

    pub(crate) async fn restart(self) -> Self {
        let Self { relay, folder } = self;
        assert_eq!(relay.shutdown().await, Drained::Clean);
        Self::start_in(folder, Limits::default()).await
    }
}

/// Tasks that a relay of this process has given up let go of its store in their own time; where each
/// relay is a process, its end does that.
async fn start_unlocked(config: Config) -> Relay {
    loop {
        match Relay::start(config.clone()).await {
            Err(StartError::Store(OpenError::Locked { .. })) => tokio::task::yield_now().await,
            started => return started.unwrap(),
        }
    }
}

pub(crate) async fn start_on(store: Arc<dyn Store>, limits: Limits) -> Relay {
    Relay::start_with(config(limits), store).await.unwrap()
}

/// A WebSocket as the tests use it.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a socket gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Binary(bytes::Bytes),
    Close { code: u16, reason: String },
    Lost,
}

impl Socket {
    pub(crate) async fn open(
        address: SocketAddr,
        path: &str,
        subprotocol: Option<&'static str>,
    ) -> Result<Self, SocketError> {
        let mut request = format!("ws://{address}/{path}").into_client_request()?;
        if let Some(offer) = subprotocol {
            let offer = HeaderValue::from_static(offer);
            request.headers_mut().insert("sec-websocket-protocol", offer);
        }
        let (socket, response) = connect_async_with_config(request, None, true).await?;
        let agreed = response.headers().get("sec-websocket-protocol").is_some();
        assert_eq!(agreed, subprotocol.is_some());
        Ok(Self(socket))
    }

    pub(crate) async fn send(&mut self, frame: impl Into<bytes::Bytes>) {
        self.0.send(Frame::Binary(frame.into())).await.unwrap();
    }

    /// Sends although the relay may have hung up.
    pub(crate) async fn try_send(&mut self, frame: Frame) {
        let _may_be_over = self.0.send(frame).await;
    }

    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next());
            match next.await.expect("the relay says nothing") {
                Some(Ok(Frame::Binary(frame))) => return Heard::Binary(frame),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(Frame::Close(Some(close)))) => {
                    let (code, reason) = (close.code.into(), close.reason.to_string());
                    return Heard::Close { code, reason };
                }
                Some(Ok(other)) => panic!("the relay sent {other:?}"),
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }
}

/// The status and body of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks again until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut check: impl FnMut() -> F) {
    let check = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, check).await.expect("it never became so");
}
