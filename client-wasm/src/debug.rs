//! What a developer gets to see of a session: figures in the order that the npm package names them
//! in (`npm/src/figures.ts`). Their names would weigh more here than all the rest.

use coweave_core::client::report::Phase;
use coweave_core::client::tabs::Tabs;
use coweave_core::client::{Client, Room};
use coweave_core::time::Time;
use js_sys::Array;
use wasm_bindgen::JsValue;

use crate::error::to_thrown;

/// What is not there.
const NONE: u64 = u64::MAX;

/// The connection of a session; times are those of the steady clock. The figures stand behind the
/// last failure and the software of the relay.
pub(crate) fn connection(client: &Client, tabs: &Tabs) -> Array {
    let report = client.report();
    let phase = match report.phase {
        Phase::Unneeded => 0,
        Phase::Waiting => 1,
        Phase::Connecting => 2,
        Phase::Greeting => 3,
        Phase::Open => 4,
        Phase::Stopped => 5,
    };
    let (protocol, software) = match report.relay {
        Some((version, agent)) => (version, JsValue::from_str(agent)),
        None => (NONE, JsValue::NULL),
    };
    let (failure, failed_at) = match report.failure {
        Some((error, at)) => (to_thrown(error), at.as_ms()),
        None => (JsValue::NULL, NONE),
    };
    let figures = [
        failed_at,
        phase,
        time(report.since),
        time(report.retry_at),
        u64::from(report.attempts),
        time(Some(report.heard_at)),
        time(report.answer_by),
        report.round_trip_ms.unwrap_or(NONE),
        report.sent.frames,
        report.sent.bytes,
        report.received.frames,
        report.received.bytes,
        protocol,
        tabs.others().len() as u64,
        u64::from(tabs.is_leader()),
    ];
    with(Array::of2(&failure, &software), &figures)
}

/// A room of a session. The figures stand behind what holds up durability;
/// the bytes of the lineage follow them, when there is one.
pub(crate) fn room(room: &Room) -> Array {
    let report = room.report();
    let (epoch, sequence) = room.position();
    let figures = [
        u64::from(report.attempts),
        room.last_number().0,
        report.device_number,
        room.accepted().0,
        room.durable().0,
        report.outbox_updates,
        report.outbox_bytes,
        report.flushes,
        epoch.0,
        sequence.0,
        room.replica().client().get(),
        report.clients,
        report.elements,
        report.device.records,
        report.device.record_bytes,
        report.device.snapshot_bytes,
        report.device.waiting,
        u64::from(report.device.is_writing),
    ];
    let array = with(Array::of1(&room.degraded().map_or(JsValue::NULL, to_thrown)), &figures);
    if let Some(lineage) = room.lineage() {
        for byte in lineage.0 {
            push(&array, byte.into());
        }
    }
    array
}

fn with(array: Array, figures: &[u64]) -> Array {
    for figure in figures {
        push(&array, *figure);
    }
    array
}

fn push(array: &Array, figure: u64) {
    array.push(&if figure == NONE { JsValue::NULL } else { (figure as f64).into() });
}

fn time(at: Option<Time>) -> u64 {
    at.map_or(NONE, Time::as_ms)
}
