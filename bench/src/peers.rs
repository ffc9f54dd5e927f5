//! The servers that are compared, and how each is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::dialect::Dialect;
use crate::process::Server;

/// Why a server is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our relay.
    Ours,
    /// What it is compared with.
    Peer,
    /// No documents, no store: what a relay could cost at best.
    Bare,
}

/// One row of every table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// How the command line calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
}

pub(crate) const PEERS: [Peer; 7] = [
    Peer { name: "coweave", title: "coweave", kind: Kind::Ours, dialect: Dialect::Coweave },
    Peer {
        name: "coweave-yws",
        title: "coweave (y-websocket)",
        kind: Kind::Ours,
        dialect: Dialect::YWebsocket,
    },
    Peer {
        name: "yws",
        title: "@y/websocket-server",
        kind: Kind::Peer,
        dialect: Dialect::YWebsocket,
    },
    Peer {
        name: "hocuspocus",
        title: "@hocuspocus/server",
        kind: Kind::Peer,
        dialect: Dialect::Hocuspocus,
    },
    Peer { name: "yrs-axum", title: "yrs-axum", kind: Kind::Peer, dialect: Dialect::YWebsocket },
    Peer {
        name: "one-write",
        title: "bare, a write each",
        kind: Kind::Bare,
        dialect: Dialect::YWebsocket,
    },
    Peer {
        name: "merged",
        title: "bare, merged writes",
        kind: Kind::Bare,
        dialect: Dialect::YWebsocket,
    },
];

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) relay: PathBuf,
    /// The folder with the npm packages of the peers.
    pub(crate) npm: PathBuf,
    /// Where servers get a folder for their data.
    pub(crate) data: PathBuf,
    pub(crate) is_pinned: bool,
}

impl Peer {
    pub(crate) fn has_documents(self) -> bool {
        self.kind != Kind::Bare
    }

    /// Starts the server; the settings are for our relay alone.
    pub(crate) fn start(self, programs: &Programs, settings: &[&str]) -> Outcome<Server> {
        let own = std::env::current_exe()?;
        Server::start(programs.is_pinned, &programs.data, |address, folder| match self.name {
            "coweave" | "coweave-yws" => relay(programs, address, folder, settings),
            "yws" => node(programs, "node_modules/@y/websocket-server/src/server.js", address),
            "hocuspocus" => node(programs, "hocuspocus.mjs", address),
            name => {
                let mut command = Command::new(own);
                command.args(["serve", name, &address.to_string()]);
                command
            }
        })
    }
}

fn relay(programs: &Programs, address: SocketAddr, folder: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(&programs.relay);
    command.args(["--listen", &address.to_string(), "--log", "error", "--data-dir"]);
    command.arg(folder).args(settings);
    // One writer here stands for many people: its rate is what is measured.
    command.env("COWEAVE_MESSAGES_PER_SECOND_MAX", "0").env("COWEAVE_BYTES_PER_SECOND_MAX", "0");
    command
}

fn node(programs: &Programs, script: &str, address: SocketAddr) -> Command {
    let mut command = Command::new("node");
    command.arg(programs.npm.join(script)).current_dir(&programs.npm);
    command.env("HOST", address.ip().to_string()).env("PORT", address.port().to_string());
    command.env("NODE_ENV", "production");
    command
}
