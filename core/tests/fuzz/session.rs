//! What reaches a session from its own browser: messages of other tabs, and what the device has.

use bytes::Bytes;
use coweave_core::client::tabs::{self, About, Tabs, Talk};
use coweave_core::client::{
    Client, Input, Meta, Output, Record, RoomKey, Settings, Storage, StoredCopy, Write,
};
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{
    ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, SessionKey, TabId,
};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::Time;
use coweave_core::wire::v1::Role;

use crate::documents::below;
use crate::inputs::Seeds;
use crate::reading;

const LINEAGE: Lineage = Lineage([1; 16]);
const NOW: Time = Time::ZERO;
/// A machine that has not come to rest after so many steps never does.
const STEPS_MAX: usize = 10_000;

fn room() -> RoomName {
    RoomName::parse("room").expect("a name")
}

/// A tab of a browser, with a session that has a room open.
struct Tab {
    tabs: Tabs,
    client: Client,
    key: RoomKey,
    /// What it says to the others.
    posted: Vec<Bytes>,
    /// How much became of what it was told.
    steps: usize,
}

impl Tab {
    fn open(own: TabId, copy: StoredCopy) -> Self {
        let settings = Settings {
            session: SessionKey([1; 16]),
            agent: "test".to_owned(),
            limits: Limits::default(),
            has_device_store: true,
        };
        let mut client = Client::new(settings, own.0, NOW);
        let key = client.next_key();
        client.handle(Input::Open { key, name: room(), client: ClientId::from_u32(9) }, NOW);
        let mut tab = Self { tabs: Tabs::new(own), client, key, posted: Vec::new(), steps: 0 };
        tab.rest();
        tab.client.handle(Input::Loaded { key, copy: Ok(copy) }, NOW);
        tab.tell(tabs::Input::Ready);
        tab
    }

    fn tell(&mut self, input: tabs::Input) {
        self.tabs.handle(input, NOW);
        self.rest();
    }

    /// Lets both machines do all that they want to do.
    fn rest(&mut self) {
        loop {
            match self.client.poll(NOW) {
                Output::Idle { .. } => match self.tabs.poll(NOW) {
                    tabs::Output::Idle { .. } => return,
                    tabs::Output::Client(input) => self.client.handle(input, NOW),
                    tabs::Output::Post { message, .. } => self.posted.push(message),
                    _ => {}
                },
                Output::Connect => {
                    self.tabs.handle(tabs::Input::Dial { token: String::new() }, NOW);
                }
                Output::Frame(frame) => self.tabs.handle(tabs::Input::Say(frame), NOW),
                Output::Disconnect => self.tabs.handle(tabs::Input::HangUp, NOW),
                Output::Talk { to, talk } => self.tabs.handle(tabs::Input::Talk { to, talk }, NOW),
                Output::Write { key, ticket, writes, .. } => {
                    writes.iter().for_each(check_write);
                    self.client.handle(Input::Written { key, ticket }, NOW);
                }
                _ => {}
            }
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "it does not come to rest");
        }
    }

    /// Reads all that there is in the room.
    fn read(&mut self, random: &mut Random) -> Known {
        let replica = self.client.room_mut(self.key).expect("an open room").replica_mut();
        reading::read(replica, random);
        replica.known().clone()
    }
}

/// Nothing that cannot be read later is put in the place of what is stored.
fn check_write(write: &Write) {
    if let Write::Fold { snapshot, .. } = write {
        let passed = check(snapshot, &Known::new(), Mode::State, &|_| false, &Limits::default());
        passed.expect("what is stored can be read");
    }
}

/// What tabs say to each other: two of them, one of which leads, with all that a session may say.
pub(crate) fn messages(seeds: &Seeds) -> Vec<Vec<u8>> {
    let mut pair = [1, 2].map(|own| Tab::open(TabId(own), StoredCopy::default()));
    let update = || Bytes::from(seeds.updates[0].clone());
    let number = EditNumber(7);
    let abouts = [
        About::Ask { state_vector: Bytes::from(seeds.known.encode()) },
        About::Known { number, update: Bytes::from(seeds.base.clone()) },
        About::Edit { number, update: update() },
        About::Durable { through: number },
        About::SetAside { error: Error::new(Code::RoomReadOnly, "no") },
        About::Left,
        About::Stranded,
    ];
    let talks =
        abouts.into_iter().map(|about| Talk { room: room(), lineage: Some(LINEAGE), about });
    let mut all = Vec::new();
    let mut inputs = vec![(0, tabs::Input::Leads), (1, tabs::Input::Dial { token: String::new() })];
    inputs.extend([(0, tabs::Input::SocketOpened), (1, tabs::Input::Say(update()))]);
    inputs.extend([(0, tabs::Input::SocketFrame(update())), (1, tabs::Input::HangUp)]);
    inputs.extend(talks.map(|talk| (1, tabs::Input::Talk { to: None, talk })));
    inputs.extend([(0, tabs::Input::Stop)]);
    for (at, input) in inputs {
        pair[at].tell(input);
        // What each says to the other, until there is silence.
        for at in [0, 1, 0, 1, 0, 1] {
            for message in std::mem::take(&mut pair[at].posted) {
                all.push(message.to_vec());
                pair[1 - at].tell(tabs::Input::Heard(message));
            }
        }
    }
    all
}

/// A tab, leading or not, hears a message; whether something became of it.
pub(crate) fn hear(seeds: &Seeds, input: &[u8], random: &mut Random) -> bool {
    let copy = StoredCopy { snapshot: Some(seeds.base.clone().into()), ..StoredCopy::default() };
    let mut tab = Tab::open(TabId(1), copy);
    if random.chance(50) {
        tab.tell(tabs::Input::Leads);
    }
    let before = tab.steps;
    tab.tell(tabs::Input::Heard(Bytes::copy_from_slice(input)));
    let is_taken = tab.steps > before;
    tab.tell(tabs::Input::Gone(TabId(2)));
    tab.read(random);
    is_taken
}

/// The device has an input among the rows of a room; whether it could be used.
pub(crate) fn load(seeds: &Seeds, input: &[u8], random: &mut Random) -> bool {
    let base = Bytes::from(seeds.base.clone());
    let input = Bytes::copy_from_slice(input);
    let mut updates = vec![input.clone(), base.clone(), input];
    updates.truncate(1 + below(random, 3));
    let has_base = updates.contains(&base);
    let snapshot = random.chance(30).then(|| updates.swap_remove(0));
    let records = (1..).zip(updates).map(|(index, update)| {
        let is_pending = random.chance(50);
        Record { index, is_pending, update }
    });
    let records = records.collect();
    let role = if random.chance(50) { Role::Viewer } else { Role::Editor };
    let sequence = Sequence(random.below(9));
    let meta = Meta { lineage: LINEAGE, epoch: Epoch(1), sequence, role };
    let copy =
        StoredCopy { meta: random.chance(50).then_some(meta), snapshot, records, damage: None };
    let mut tab = Tab::open(TabId(1), copy);
    tab.tell(tabs::Input::Leads);
    let known = tab.read(random);
    // What can be read is there, whatever lies beside it.
    assert!(!has_base || known.covers(&seeds.known));
    let room = tab.client.room(tab.key).expect("an open room");
    matches!(room.storage(), Storage::Device)
}
