//! The scenarios: what is measured, in which columns, and what our relay is to reach.

mod fanout;
mod idle;
mod join;
mod presence;
mod rooms;
mod saturation;
mod storm;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::Outcome;
use crate::crowd::{Crowd, Shape};
use crate::options::Options;
use crate::peers::{Peer, Programs};
use crate::process::Server;
use crate::report;
use crate::text::Book;

/// One table.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Bare servers have no documents.
    needs_documents: bool,
    pub(crate) columns: &'static [Column],
    pub(crate) goals: &'static [Goal],
    measure: fn(&Bench<'_>, Peer) -> Outcome<Measured>,
}

/// One figure of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) head: &'static str,
    pub(crate) digits: usize,
}

/// What our relay is to reach.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) key: &'static str,
    pub(crate) bound: Bound,
}

/// The measure of a goal; less is better except where it says "least".
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// So many times the best peer.
    AtMostBest(f64),
    AtLeastBest(f64),
    /// So many times this peer.
    AtMostPeer(f64, &'static str),
    /// The best peer, or the bare server with one write per message: whichever is slower.
    NoWorse,
}

/// The figures of one run of one server.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) values: BTreeMap<&'static str, f64>,
    pub(crate) problems: Vec<String>,
}

/// What scenarios share.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    programs: &'a Programs,
    small: OnceCell<Book>,
    megabyte: OnceCell<Book>,
    ten_megabytes: OnceCell<Book>,
}

pub(crate) static SCENARIOS: [Scenario; 11] = [
    fanout::ONE_ROOM,
    fanout::MANY_ROOMS,
    fanout::LARGE_DOCUMENT,
    saturation::ONE_ROOM,
    saturation::MANY_ROOMS,
    idle::IDLE,
    join::MEGABYTE,
    join::TEN_MEGABYTES,
    storm::STORM,
    presence::PRESENCE,
    rooms::ROOMS_LEFT,
];

const fn column(key: &'static str, head: &'static str, digits: usize) -> Column {
    Column { key, head, digits }
}

/// Runs what was asked for, and prints each table as soon as it is complete.
pub(crate) fn run(options: &Options) -> Outcome {
    let bench = Bench {
        programs: &options.programs,
        small: OnceCell::new(),
        megabyte: OnceCell::new(),
        ten_megabytes: OnceCell::new(),
    };
    let mut report = report::Report::new(options)?;
    for scenario in &options.scenarios {
        let mut rows: Vec<(Peer, Vec<Measured>)> = options
            .peers
            .iter()
            .filter(|peer| peer.has_documents() || !scenario.needs_documents)
            .map(|peer| (*peer, Vec::new()))
            .collect();
        for run in 1..=options.runs {
            for (peer, runs) in &mut rows {
                eprintln!("{}, run {run} of {}: {}", scenario.name, options.runs, peer.title);
                let measured = (scenario.measure)(&bench, *peer).unwrap_or_else(|error| Measured {
                    problems: vec![error.to_string()],
                    ..Measured::default()
                });
                runs.push(measured);
            }
        }
        report.add(scenario, &rows)?;
    }
    report.finish()
}

/// A book is written once, when it is first needed.
fn book(place: &OnceCell<Book>, bytes: usize) -> Outcome<&Book> {
    if let Some(book) = place.get() {
        return Ok(book);
    }
    let book = Book::write(bytes)?;
    Ok(place.get_or_init(|| book))
}

impl Bench<'_> {
    fn small(&self) -> Outcome<&Book> {
        book(&self.small, 100_000)
    }

    fn megabyte(&self) -> Outcome<&Book> {
        book(&self.megabyte, 1_000_000)
    }

    fn ten_megabytes(&self) -> Outcome<&Book> {
        book(&self.ten_megabytes, 10_000_000)
    }

    /// Starts a server and types a second at it: what is compiled while it runs is compiled then.
    fn start(&self, peer: Peer, settings: &[&str]) -> Outcome<(Server, Crowd)> {
        let server = peer.start(self.programs, settings)?;
        let mut crowd = Crowd::new(peer.dialect, server.address)?;
        crowd.add_rooms("warm", Shape { rooms: 1, clients: 20, writers: 5, keepers: 0 }, None);
        crowd.connect(0..20)?;
        crowd.type_keys(0..1, 500.0, Duration::from_secs(1))?;
        let crowd = Crowd::new(peer.dialect, server.address)?;
        Ok((server, crowd))
    }
}
