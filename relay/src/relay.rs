//! A running relay, from listening to the last flush.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::accept::accept;
use crate::config::Config;
use crate::door::Door;
use crate::http::{self, Site};
use crate::hub::Hub;
use crate::origin::Origins;
use crate::store::sqlite::SqliteStore;
use crate::store::{OpenError, Store};

/// How often the store drops what it need not keep any more.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Connections that may wait to be accepted. When a crowd comes back at once, whoever finds no place
/// tries again a second later; the default of 128 is soon full.
const BACKLOG: u32 = 4096;

/// Why a relay could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "the address {0} is in use by another process; stop that one first, or choose another --listen"
    )]
    AddressInUse(SocketAddr),
    /// The system does not let the relay listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All connections are closed and everything is on disk.
    Clean,
    /// The time was up; what was acknowledged as durable is on disk.
    TimedOut,
}

/// A running relay. When it is dropped without [`Relay::shutdown`], it stops without waiting.
#[derive(Debug)]
pub struct Relay {
    local_addr: SocketAddr,
    drain_limit: Duration,
    hub: Arc<Hub>,
    connections: TaskTracker,
    drain: CancellationToken,
    _server: AbortOnDropHandle<()>,
    sweeper: AbortOnDropHandle<()>,
    _drain_when_dropped: DropGuard,
}

impl Relay {
    /// Starts a relay with its embedded store.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // The address comes first: a second start by mistake must not leave a folder behind.
        let listener = bind(config.listen)?;
        let store = SqliteStore::open(&config.data_dir, config.keep_log).await?;
        Self::serve(listener, config, Arc::new(store))
    }

    /// Starts a relay on any store.
    ///
    /// # Errors
    /// [`StartError`].
    #[expect(clippy::unused_async, reason = "like `start`, it has to be called inside a runtime")]
    pub async fn start_with(config: Config, store: Arc<dyn Store>) -> Result<Self, StartError> {
        Self::serve(bind(config.listen)?, config, store)
    }

    fn serve(
        listener: TcpListener,
        config: Config,
        store: Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        let address = config.listen;
        let local_addr =
            listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let head_limit = config.limits.hello_timeout;
        let door = Door::new(&config.limits);
        let sweeper = tokio::spawn(sweep(Arc::clone(&store)));
        let hub = Arc::new(Hub::new(store, config.limits, config.compaction));
        let (drain, connections) = (CancellationToken::new(), TaskTracker::new());
        let router = http::router(Site {
            hub: Arc::clone(&hub),
            static_dir: config.static_dir.map(Into::into),
            admin_token: config.admin_token,
            origins: Arc::new(Origins::new(config.allow_origin, local_addr.ip().is_loopback())),
            drain: drain.clone(),
            connections: connections.clone(),
        });
        let server = tokio::spawn(accept(listener, router, door, head_limit, drain.clone()));
        Ok(Self {
            local_addr,
            drain_limit: config.drain_limit,
            hub,
            connections,
            _drain_when_dropped: drain.clone().drop_guard(),
            drain,
            _server: AbortOnDropHandle::new(server),
            sweeper: AbortOnDropHandle::new(sweeper),
        })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, sends every client away with the time to come back, and brings everything
    /// to disk, within the limit of the configuration.
    pub async fn shutdown(self) -> Drained {
        let drained = tokio::time::timeout(self.drain_limit, self.drain()).await;
        if drained.is_ok() { Drained::Clean } else { Drained::TimedOut }
    }

    async fn drain(&self) {
        self.drain.cancel();
        self.sweeper.abort();
        self.hub.drain().await;
        self.connections.close();
        self.connections.wait().await;
        self.hub.close().await;
    }
}

/// Drops old lines of logs, now and every hour.
async fn sweep(store: Arc<dyn Store>) {
    let mut hourly = tokio::time::interval(SWEEP_EVERY);
    hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hourly.tick().await;
        match store.sweep().await {
            Ok(0) => {}
            Ok(lines) => tracing::info!(lines, "old lines were dropped that are in snapshots"),
            Err(error) => tracing::warn!(%error, "old lines are not dropped; in an hour again"),
        }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As tokio's own listeners: a restart need not wait for connections of before.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen { address, source },
    })
}
