//! A line between clients and a relay that counts its bytes, and can be slow, stuck or cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What is passed on at once.
const CHUNK: usize = 16 << 10;

/// The line. Connections over it end with its test's runtime.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    relay: SocketAddr,
    /// Bytes from the relay to all clients.
    received: AtomicU64,
    /// All connections are cut once this many were received.
    cut_at: AtomicU64,
    /// Bytes a second from the relay to each client; 0 for any number.
    rate: AtomicU64,
    cut: Notify,
    cuts: AtomicU64,
}

impl Proxy {
    /// Opens a line to this relay.
    ///
    /// # Panics
    /// When the system has no free port.
    pub async fn start(relay: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let line = Arc::new(Line {
            relay,
            received: AtomicU64::new(0),
            cut_at: AtomicU64::new(u64::MAX),
            rate: AtomicU64::new(0),
            cut: Notify::new(),
            cuts: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&line);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).carry(client));
            }
        });
        Self { address, line }
    }

    /// How many bytes came from the relay so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.line.received.load(Ordering::Relaxed)
    }

    /// Cuts all connections as soon as this many bytes came from the relay, counted from the start.
    pub fn cut_at(&self, received: u64) {
        self.line.cut_at.store(received, Ordering::Relaxed);
    }

    /// How often it was cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.line.cuts.load(Ordering::Relaxed)
    }

    /// Lets no more than this many bytes a second through to each client; 0 for any number.
    pub fn set_rate(&self, bytes_per_second: u64) {
        self.line.rate.store(bytes_per_second, Ordering::Relaxed);
    }
}

impl Line {
    async fn carry(self: Arc<Self>, client: TcpStream) {
        let Ok(relay) = TcpStream::connect(self.relay).await else { return };
        for stream in [&client, &relay] {
            stream.set_nodelay(true).expect("a TCP connection");
        }
        let (from_relay, mut to_relay) = relay.into_split();
        let (mut from_client, to_client) = client.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_relay) => {}
            () = self.bring(from_relay, to_client) => {}
            () = self.cut.notified() => {}
        }
    }

    async fn bring(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            let bytes = count as u64;
            let received = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if received >= self.cut_at.load(Ordering::Relaxed) {
                self.cut_at.store(u64::MAX, Ordering::Relaxed);
                self.cuts.fetch_add(1, Ordering::Relaxed);
                self.cut.notify_waiters();
                return;
            }
            if to.write_all(&chunk[..count]).await.is_err() {
                return;
            }
            if let Some(micros) = (bytes * 1_000_000).checked_div(self.rate.load(Ordering::Relaxed))
            {
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
        }
    }
}
