//! The npm package's memory of each room, from which it goes on when this instance is gone.

use coweave_core::client::{Kept, RoomKey, Saved};
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::IdbDatabase;

#[wasm_bindgen]
extern "C" {
    /// It copies what it is given, and calls nothing.
    pub type Keeper;

    /// An own edit was made, and is not taken from the document yet.
    #[wasm_bindgen(method)]
    fn edited(this: &Keeper, room: f64, update: &[u8]);
    /// All own edits so far are this one.
    #[wasm_bindgen(method)]
    fn own(this: &Keeper, room: f64, number: f64, update: &[u8]);
    #[wasm_bindgen(method)]
    fn adopted(this: &Keeper, room: f64, number: f64, update: &[u8]);
    #[wasm_bindgen(method)]
    fn other(this: &Keeper, room: f64, update: &[u8]);
    #[wasm_bindgen(method)]
    fn durable(this: &Keeper, room: f64, through: f64);
    #[wasm_bindgen(method)]
    fn history(this: &Keeper, room: f64, lineage: &[u8], epoch: f64);
    #[wasm_bindgen(method)]
    fn began(this: &Keeper, room: f64);
    /// What is saved now, with the number of the tier; it comes with each keystroke.
    #[wasm_bindgen(method)]
    fn saved(this: &Keeper, room: f64, tier: u8, pending: f64, is_on_device: bool);
    /// A connection to the device's database is there, to be closed when this instance cannot. The
    /// answer is whether it is a new database in the place of one that the browser threw away.
    #[wasm_bindgen(method)]
    pub fn opened(this: &Keeper, database: &IdbDatabase, is_new: bool) -> bool;
    /// A room is open that no app has opened, or none.
    #[wasm_bindgen(method)]
    pub fn carry(this: &Keeper, name: Option<&str>);
}

impl Keeper {
    pub(crate) fn keep_edits(&self, key: RoomKey, updates: &[Vec<u8>]) {
        for update in updates {
            self.edited(key.0 as f64, update);
        }
    }

    pub(crate) fn tell_saved(&self, key: RoomKey, saved: &Saved) {
        self.saved(key.0 as f64, saved.tier as u8, saved.pending as f64, saved.is_on_device);
    }

    pub(crate) fn keep(&self, key: RoomKey, kept: &Kept) {
        let room = key.0 as f64;
        match kept {
            Kept::Own { number, update } => self.own(room, number.0 as f64, update),
            Kept::Adopted { number, update } => self.adopted(room, number.0 as f64, update),
            Kept::Other { update } => self.other(room, update),
            Kept::Durable { through } => self.durable(room, through.0 as f64),
            Kept::History { lineage, epoch } => self.history(room, &lineage.0, epoch.0 as f64),
            Kept::Began => self.began(room),
            // A newer core may keep more; this shell is always built with its own.
            _ => {}
        }
    }
}
