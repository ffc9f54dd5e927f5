//! The y-websocket protocol: one room per socket, one message per frame.
