//! The session as a class.

use std::rc::Rc;

use coweave_core::ids::{RoomName, SessionKey};
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::connection::Connection;
use crate::device_store::DeviceStore;
use crate::error::to_thrown;
use crate::keeper::Keeper;
use crate::room::Room;
use crate::shell::Shell;

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
    /// `make_socket` makes a WebSocket for a URL and a subprotocol, `token` gives a promise of a token, `notify` is
    /// called when there is something to [`Client::drain`]. `session` is 16 random bytes, the same ones for
    /// an instance that goes on where another one ended.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(
        url: String,
        make_socket: Function,
        token: Option<Function>,
        on_device: bool,
        session: &[u8],
        notify: Function,
        keeper: Keeper,
    ) -> Self {
        console_error_panic_hook::set_once();
        let store = if on_device { DeviceStore::find(&url) } else { None };
        let connection = Connection::new(url, make_socket, token);
        let mut key = [0; 16];
        key.iter_mut().zip(session).for_each(|(to, from)| *to = *from);
        Self { shell: Shell::new(connection, store, SessionKey(key), notify, keeper) }
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

    /// Sends what was edited since the last call, and takes the news of all rooms as JSON.
    #[must_use]
    pub fn drain(&self) -> String {
        self.shell.drain()
    }

    /// Ends the session.
    pub fn dispose(&self) {
        self.shell.dispose();
    }
}
