//! A bare broadcast server that merges writes: what one turn has for a socket goes out in one call.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;

use crate::Outcome;
use crate::net::{ConnId, Handler, Net, Out};
use crate::serve::{Bare, bare_answer};

#[derive(Debug, Default)]
struct Rooms {
    by_connection: HashMap<ConnId, String>,
    members: HashMap<String, Vec<ConnId>>,
    /// What goes to the others of a room after this turn.
    pending: Vec<(ConnId, Bytes)>,
}

pub(super) fn serve(address: SocketAddr) -> Outcome {
    let mut net = Net::new()?;
    net.listen(TcpListener::bind(address)?)?;
    let mut rooms = Rooms::default();
    loop {
        net.turn(None, &mut rooms)?;
        for (from, message) in rooms.pending.drain(..) {
            let members = rooms.by_connection.get(&from).and_then(|room| rooms.members.get(room));
            for member in members.into_iter().flatten().filter(|member| **member != from) {
                net.send(*member, &message);
            }
        }
    }
}

impl Handler for Rooms {
    fn opened(&mut self, id: ConnId, path: &str, _out: &mut Out<'_>) {
        self.by_connection.insert(id, path.to_owned());
        self.members.entry(path.to_owned()).or_default().push(id);
    }

    fn message(&mut self, id: ConnId, payload: &Bytes, out: &mut Out<'_>) {
        match bare_answer(payload) {
            Bare::Answer(answer) => out.message(answer),
            Bare::Ignore => {}
            Bare::PassOn => self.pending.push((id, payload.clone())),
        }
    }

    fn closed(&mut self, id: ConnId, _why: &str) {
        let Some(room) = self.by_connection.remove(&id) else { return };
        if let Some(members) = self.members.get_mut(&room) {
            members.retain(|member| *member != id);
            if members.is_empty() {
                self.members.remove(&room);
            }
        }
    }
}
