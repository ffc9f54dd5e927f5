//! Every limit in one place: what it bounds, its default, and the error code when it is passed.

use std::time::Duration;

/// Nesting of shared types: how deep a document can be read, and deleted, on the little stack that a
/// browser gives.
pub(crate) const TYPE_DEPTH_MAX: u32 = 200;

/// The limits of a relay, a room and a connection. `Default` is what the documentation promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One WebSocket frame, in bytes (`frame.too_large`).
    pub frame_bytes_max: usize,
    /// One update inside a frame, in bytes (`update.too_large`).
    pub update_bytes_max: usize,
    /// Structs in one update (`update.too_large`).
    pub update_blocks_max: u64,
    /// Distinct clients in one update (`update.too_large`).
    pub update_clients_max: u64,
    /// Nesting of a value inside an update (`update.malformed`).
    pub value_depth_max: usize,
    /// Nesting of shared types, the one with a name included (`update.too_deep`).
    pub type_depth_max: u32,
    /// Entries of a state vector (`frame.malformed`).
    pub state_vector_clients_max: u64,
    /// Rooms joined over one connection at the same time (`room.too_many`).
    pub rooms_per_connection_max: usize,
    /// Connections in one room at the same time (`room.full`).
    pub members_per_room_max: usize,
    /// One presence state as JSON, in bytes (`presence.too_large`).
    pub presence_bytes_max: usize,
    /// Presence states that one y-websocket connection may speak for (`presence.too_many`).
    pub presence_clients_per_member_max: usize,
    /// Live messages waiting for a slow reader, in bytes (`connection.too_slow`).
    pub send_queue_bytes_max: usize,
    /// Updates accepted into memory of one room that wait for the disk, in bytes (`relay.degraded`).
    pub undurable_bytes_max: usize,
    /// One piece of a first sync, in bytes: small enough that a slow line shows signs of life.
    pub sync_chunk_bytes: usize,
    /// What a client may send before its hello was taken, in bytes (`connection.hello_too_large`).
    pub hello_bytes_max: usize,
    /// Messages that one connection may send in a second, after the burst; the relay reads no
    /// faster. 0 for no limit.
    pub messages_per_second_max: u64,
    /// Messages that one connection may send at once.
    pub messages_burst_max: u64,
    /// Bytes that one connection may send in a second, after the burst; the relay reads no faster.
    /// 0 for no limit.
    pub bytes_per_second_max: u64,
    /// Bytes that one connection may send at once.
    pub bytes_burst_max: u64,
    /// Rooms that one connection may join in a minute (`room.too_often`). 0 for no limit.
    pub joins_per_minute_max: u64,
    /// Connections to the relay at the same time (`relay.full`). 0 for as many as the system lets
    /// it have.
    pub connections_max: usize,
    /// Connections that have not said anything yet (`connection.hello_timeout` for the oldest).
    pub silent_connections_max: usize,
    /// Time from connecting to the hello message (`connection.hello_timeout`).
    pub hello_timeout: Duration,
    /// Silence after which a connection counts as dead (`connection.idle`).
    pub idle_timeout: Duration,
    /// What one room may take in memory and in the store, in bytes (`room.too_large`).
    pub room_bytes_max: usize,
    /// The least time between two commits of the log: what people type within it shares one flush.
    pub commit_interval: Duration,
    /// Presence is gathered this long and told in one message.
    pub presence_tick: Duration,
    /// How long an empty, clean room stays in memory.
    pub room_linger: Duration,
    /// Size of a room's log tail at which it is folded into the snapshot, in bytes.
    pub tail_bytes_max: usize,
}

impl Limits {
    /// The same for what was taken before, by the relay or into a store: it passed the limits of
    /// its day, and must not fail at those of today.
    #[must_use]
    pub fn for_taken(&self) -> Self {
        Self {
            update_bytes_max: usize::MAX,
            update_blocks_max: u64::MAX,
            update_clients_max: u64::MAX,
            presence_bytes_max: usize::MAX,
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 8 << 20,
            update_bytes_max: (8 << 20) - 1024,
            update_blocks_max: 1_000_000,
            update_clients_max: 10_000,
            value_depth_max: 64,
            type_depth_max: TYPE_DEPTH_MAX,
            state_vector_clients_max: 100_000,
            rooms_per_connection_max: 128,
            members_per_room_max: 1_000,
            presence_bytes_max: 16 << 10,
            presence_clients_per_member_max: 16,
            send_queue_bytes_max: 1 << 20,
            undurable_bytes_max: 32 << 20,
            sync_chunk_bytes: 64 << 10,
            hello_bytes_max: 16 << 10,
            messages_per_second_max: 500,
            messages_burst_max: 5_000,
            bytes_per_second_max: 4 << 20,
            bytes_burst_max: 32 << 20,
            joins_per_minute_max: 600,
            connections_max: 0,
            silent_connections_max: 10_000,
            hello_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            room_bytes_max: 256 << 20,
            commit_interval: Duration::from_millis(100),
            presence_tick: Duration::from_millis(50),
            room_linger: Duration::from_secs(30),
            tail_bytes_max: 1 << 20,
        }
    }
}
