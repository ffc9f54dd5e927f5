//! The session as a class.

use std::rc::Rc;

use coweave_core::client::tabs::Input;
use coweave_core::ids::{RoomName, SessionKey, TabId};
use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::browser_tabs::BrowserTabs;
use crate::clock::whole;
use crate::connection::{Connection, hear};
use crate::copies;
use crate::device_store::DeviceStore;
use crate::error::to_thrown;
use crate::keeper::Keeper;
use crate::room::Room;
use crate::shell::Shell;
use crate::socket::received;

/// One session with a relay.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Client {
    shell: Rc<Shell>,
}

#[wasm_bindgen]
impl Client {
    /// A session that connects when its first room is opened.
    ///
    /// `make_socket` makes a WebSocket for a URL and a subprotocol, whose frames go to [`Client::receive`]; `token` gives
    /// a promise of a token, `user` is whose copies `on_device` keeps, `notify` is called when there is something to [`Client::drain`].
    /// `session` is 16 random bytes, the same ones for all tabs and for an instance that goes on where
    /// another one ended. `tab` is the name of this tab where there is a way to others.
    #[expect(clippy::too_many_arguments, reason = "called from one place, over the border")]
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(
        url: String,
        make_socket: Function,
        token: Option<Function>,
        on_device: bool,
        user: Option<String>,
        session: &[u8],
        notify: Function,
        keeper: Keeper,
        tab: Option<f64>,
        tabs: Option<BrowserTabs>,
    ) -> Self {
        // In a release a panic has no text.
        #[cfg(debug_assertions)]
        console_error_panic_hook::set_once();
        let owner = on_device.then(|| DeviceStore::owner(&url, user)).flatten();
        let connection = Connection::new(url, make_socket, token);
        let mut key = [0; 16];
        key.iter_mut().zip(session).for_each(|(to, from)| *to = *from);
        let tab = tab.map(|id| TabId(whole(id))).zip(tabs);
        Self { shell: Shell::new(connection, owner, SessionKey(key), notify, keeper, tab) }
    }

    /// Takes a frame of the socket; `None` for a text, which the relay never sends.
    pub fn receive(&self, frame: Option<Vec<u8>>) {
        hear(&self.shell, received(frame));
    }

    /// Opens a room.
    ///
    /// # Errors
    /// `room.invalid_name`.
    #[wasm_bindgen(js_name = openRoom)]
    pub fn open_room(&self, name: &str) -> Result<Room, JsValue> {
        let name = RoomName::parse(name).map_err(|error| to_thrown(&error))?;
        Ok(Room::new(Rc::clone(&self.shell), self.shell.open(name)))
    }

    /// Leaves edits that were left on the device in a room to whoever opens it: an instance trapped
    /// that had taken them in.
    ///
    /// # Errors
    /// `room.invalid_name`.
    #[wasm_bindgen(js_name = leaveAlone)]
    pub fn leave_alone(&self, name: &str) -> Result<(), JsValue> {
        self.shell.leave_alone(RoomName::parse(name).map_err(|error| to_thrown(&error))?);
        Ok(())
    }

    /// The content of a copy that was set aside, as the news say; it is given once.
    #[wasm_bindgen(js_name = takeCopy)]
    #[must_use]
    pub fn take_copy(&self, id: &str) -> Option<Vec<u8>> {
        self.shell.take_copy(id).map(Into::into)
    }

    /// A promise of what the device keeps that was set aside of a room: three entries for each, its
    /// id, what is known of it as JSON, and its content.
    ///
    /// # Errors
    /// `room.invalid_name`.
    pub fn copies(&self, room: &str) -> Result<Promise, JsValue> {
        let name = RoomName::parse(room).map_err(|error| to_thrown(&error))?;
        Ok(copies::list(self.shell.store(), name))
    }

    /// A promise that a copy is not on the device any more.
    ///
    /// # Errors
    /// `room.invalid_name`.
    #[wasm_bindgen(js_name = dropCopy)]
    pub fn drop_copy(&self, room: &str, id: String) -> Result<Promise, JsValue> {
        let name = RoomName::parse(room).map_err(|error| to_thrown(&error))?;
        Ok(copies::drop_one(Rc::clone(&self.shell), name, id))
    }

    /// Sends what was edited since the last call, and takes the news of all rooms as JSON, when there
    /// is more than what the [`Keeper`] is told.
    #[must_use]
    pub fn drain(&self) -> Option<String> {
        self.shell.drain()
    }

    /// What a developer gets to see of the connection.
    #[must_use]
    pub fn debug(&self) -> Array {
        self.shell.debug()
    }

    /// The network may be back, or time was lost.
    pub fn probe(&self) {
        self.shell.handle(coweave_core::client::Input::Probe);
    }

    /// The other tabs may know of this one.
    #[wasm_bindgen(js_name = tabReady)]
    pub fn tab_ready(&self) {
        self.shell.handle_tabs(Input::Ready);
    }

    /// This tab leads.
    #[wasm_bindgen(js_name = tabLeads)]
    pub fn tab_leads(&self) {
        self.shell.handle_tabs(Input::Leads);
    }

    /// A tab that was watched is no more.
    #[wasm_bindgen(js_name = tabGone)]
    pub fn tab_gone(&self, id: f64) {
        self.shell.handle_tabs(Input::Gone(TabId(whole(id))));
    }

    /// A message of another tab.
    #[wasm_bindgen(js_name = tabHeard)]
    pub fn tab_heard(&self, message: Vec<u8>) {
        self.shell.handle_tabs(Input::Heard(message.into()));
    }

    /// Ends the session.
    pub fn dispose(&self) {
        self.shell.dispose();
    }
}
