//! The relay from outside: real sockets, a real store, and the real program.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod both_protocols;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod failing_store;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod process;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod v1;
#[cfg(test)]
mod v1_client;
#[cfg(test)]
mod y_websocket;
#[cfg(test)]
mod y_websocket_client;
