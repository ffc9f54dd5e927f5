//! What the tabs of one browser say to each other. They are of one origin and one version of this
//! software, so what cannot be read is dropped without a word.

use bytes::Bytes;

use crate::error::Error;
use crate::ids::{EditNumber, Lineage, RoomName, TabId};
use crate::wire::primitive::{ReadError, Reader, write_bytes, write_string, write_var};
use crate::wire::v1::{read_error, write_error};

/// A message from one tab to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TabMessage {
    /// To all: a tab has come.
    Hello,
    /// The answer to it, and to all by the tab that has become the leader.
    Here { leads: bool },
    /// To all: a tab goes.
    Bye,
    /// To the leader: connect me. All that follows of it repeats the number of the call.
    Dial { call: u32 },
    /// To the leader: a frame for the relay.
    Say { call: u32, frame: Bytes },
    /// To the leader: the connection is not needed any more, or seems to be dead.
    HangUp { call: u32 },
    /// From the leader: I am at it.
    Ringing { call: u32 },
    /// From the leader: the line is open.
    Opened { call: u32 },
    /// From the leader: a frame of the relay.
    Frame { call: u32, frame: Bytes },
    /// From the leader: the line is closed.
    Closed { call: u32, error: Option<Error> },
    /// About a room.
    Talk(Talk),
}

/// What one tab tells the others about a room, so that all show the same, with a relay or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// The room.
    pub room: RoomName,
    /// The history of the sender's copy, when it knows it.
    pub lineage: Option<Lineage>,
    /// What it says.
    pub about: About,
}

/// See [`Talk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// What do you have that I lack?
    Ask {
        /// The state vector of the sender's copy.
        state_vector: Bytes,
    },
    /// The answer, where there is something: the whole difference, for which the sender answers.
    Known {
        /// All of it is durable when the sender's edits up to this number are.
        number: EditNumber,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// An own edit. The sender brings it to the relay; should it die before, whoever heard of it does.
    Edit {
        /// The sender's number of it.
        number: EditNumber,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// Own edits up to this number are durable on the relay.
    Durable {
        /// The number.
        through: EditNumber,
    },
    /// The relay will not have what the sender's copy has: it begins anew. A copy that is not all on
    /// the relay has the same in it, and would give it back.
    SetAside {
        /// Why.
        error: Error,
    },
    /// The sender has left the room: what is not durable is for the others to bring.
    Left,
    /// Something of the room is stranded on the device: whoever has it open looks what it is.
    Stranded,
}

const HELLO: u64 = 1;
const HERE: u64 = 2;
const BYE: u64 = 3;
const DIAL: u64 = 4;
const SAY: u64 = 5;
const HANG_UP: u64 = 6;
const RINGING: u64 = 7;
const OPENED: u64 = 8;
const FRAME: u64 = 9;
const CLOSED: u64 = 10;
const ASK: u64 = 11;
const KNOWN: u64 = 12;
const EDIT: u64 = 13;
const DURABLE: u64 = 14;
const LEFT: u64 = 15;
const SET_ASIDE: u64 = 16;
const STRANDED: u64 = 17;

impl TabMessage {
    /// The message as bytes, with the name of the sender.
    pub(super) fn write(&self, from: TabId) -> Bytes {
        let mut out = Vec::new();
        write_var(&mut out, from.0);
        let call = |out: &mut Vec<u8>, kind, call: u32| {
            write_var(out, kind);
            write_var(out, u64::from(call));
        };
        match self {
            Self::Hello => write_var(&mut out, HELLO),
            Self::Here { leads } => {
                write_var(&mut out, HERE);
                write_var(&mut out, u64::from(*leads));
            }
            Self::Bye => write_var(&mut out, BYE),
            Self::Dial { call: number } => call(&mut out, DIAL, *number),
            Self::HangUp { call: number } => call(&mut out, HANG_UP, *number),
            Self::Ringing { call: number } => call(&mut out, RINGING, *number),
            Self::Opened { call: number } => call(&mut out, OPENED, *number),
            Self::Say { call: number, frame } => {
                call(&mut out, SAY, *number);
                write_bytes(&mut out, frame);
            }
            Self::Frame { call: number, frame } => {
                call(&mut out, FRAME, *number);
                write_bytes(&mut out, frame);
            }
            Self::Closed { call: number, error } => {
                call(&mut out, CLOSED, *number);
                error.iter().for_each(|error| write_error(error, &mut out));
            }
            Self::Talk(talk) => write_talk(talk, &mut out),
        }
        out.into()
    }

    /// Reads a message and the name of its sender; `None` for what a later version may say.
    pub(super) fn read(bytes: &Bytes) -> Result<(TabId, Option<Self>), ReadError> {
        let mut r = Reader::new(bytes);
        let from = TabId(r.var()?);
        let kind = r.var()?;
        let message = match kind {
            HELLO => Self::Hello,
            HERE => Self::Here { leads: r.var()? == 1 },
            BYE => Self::Bye,
            DIAL => Self::Dial { call: r.var_u32()? },
            HANG_UP => Self::HangUp { call: r.var_u32()? },
            RINGING => Self::Ringing { call: r.var_u32()? },
            OPENED => Self::Opened { call: r.var_u32()? },
            SAY => Self::Say { call: r.var_u32()?, frame: bytes.slice_ref(r.bytes()?) },
            FRAME => Self::Frame { call: r.var_u32()?, frame: bytes.slice_ref(r.bytes()?) },
            CLOSED => {
                let call = r.var_u32()?;
                let error = if r.is_empty() { None } else { Some(read_error(&mut r)?) };
                Self::Closed { call, error }
            }
            _ => return Ok((from, read_talk(kind, &mut r, bytes)?.map(Self::Talk))),
        };
        Ok((from, Some(message)))
    }
}

fn write_talk(talk: &Talk, out: &mut Vec<u8>) {
    let kind = match talk.about {
        About::Ask { .. } => ASK,
        About::Known { .. } => KNOWN,
        About::Edit { .. } => EDIT,
        About::Durable { .. } => DURABLE,
        About::Left => LEFT,
        About::SetAside { .. } => SET_ASIDE,
        About::Stranded => STRANDED,
    };
    write_var(out, kind);
    write_string(out, talk.room.as_str());
    write_bytes(out, talk.lineage.as_ref().map_or(&[], |lineage| &lineage.0));
    match &talk.about {
        About::Ask { state_vector } => write_bytes(out, state_vector),
        About::Known { number, update } | About::Edit { number, update } => {
            write_var(out, number.0);
            write_bytes(out, update);
        }
        About::Durable { through } => write_var(out, through.0),
        About::Left | About::Stranded => {}
        About::SetAside { error } => write_error(error, out),
    }
}

fn read_talk(kind: u64, r: &mut Reader<'_>, bytes: &Bytes) -> Result<Option<Talk>, ReadError> {
    if !(ASK..=STRANDED).contains(&kind) {
        return Ok(None);
    }
    let room = RoomName::parse(r.string()?).map_err(|_invalid| ReadError::Range)?;
    let lineage = r.bytes()?;
    let lineage = match lineage.is_empty() {
        true => None,
        false => Some(Lineage(lineage.try_into().map_err(|_length| ReadError::Range)?)),
    };
    let about = match kind {
        ASK => About::Ask { state_vector: bytes.slice_ref(r.bytes()?) },
        KNOWN => About::Known { number: EditNumber(r.var()?), update: bytes.slice_ref(r.bytes()?) },
        EDIT => About::Edit { number: EditNumber(r.var()?), update: bytes.slice_ref(r.bytes()?) },
        DURABLE => About::Durable { through: EditNumber(r.var()?) },
        SET_ASIDE => About::SetAside { error: read_error(r)? },
        STRANDED => About::Stranded,
        _ => About::Left,
    };
    Ok(Some(Talk { room, lineage, about }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn every_message_reads_as_it_was_written() {
        let (call, frame) = (7, Bytes::from_static(b"frame"));
        let update = Bytes::from_static(b"update");
        let talk = |lineage, about| {
            TabMessage::Talk(Talk { room: RoomName::parse("room").unwrap(), lineage, about })
        };
        for message in [
            TabMessage::Hello,
            TabMessage::Here { leads: false },
            TabMessage::Here { leads: true },
            TabMessage::Bye,
            TabMessage::Dial { call },
            TabMessage::Say { call, frame: frame.clone() },
            TabMessage::HangUp { call },
            TabMessage::Ringing { call },
            TabMessage::Opened { call },
            TabMessage::Frame { call, frame },
            TabMessage::Closed { call, error: None },
            TabMessage::Closed { call, error: Some(Error::new(Code::ConnectionLost, "why")) },
            talk(None, About::Ask { state_vector: Bytes::from_static(&[0]) }),
            talk(
                Some(Lineage([3; 16])),
                About::Known { number: EditNumber(8), update: update.clone() },
            ),
            talk(None, About::Edit { number: EditNumber(9), update }),
            talk(None, About::Durable { through: EditNumber(9) }),
            talk(None, About::Left),
            talk(None, About::Stranded),
            talk(None, About::SetAside { error: Error::new(Code::RoomReadOnly, "no") }),
        ] {
            let bytes = message.write(TabId(5));
            assert_eq!(TabMessage::read(&bytes), Ok((TabId(5), Some(message))));
            for end in 0..bytes.len() {
                drop(TabMessage::read(&bytes.slice(..end)));
            }
            // What is read of damaged bytes is a message like any other.
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                if let Ok((from, Some(message))) = TabMessage::read(&damaged.into()) {
                    let again = TabMessage::read(&message.write(from));
                    assert_eq!(again, Ok((from, Some(message))));
                }
            }
        }
        assert_eq!(TabMessage::read(&Bytes::from_static(&[5, 99, 1])), Ok((TabId(5), None)));
    }
}
