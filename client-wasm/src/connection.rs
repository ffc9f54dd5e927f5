//! The connection of a session: a token for each attempt, and at most one socket.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use coweave_core::client::{Input, tabs};
use coweave_core::error::{Code, Error};
use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::error::describe;
use crate::shell::Shell;
use crate::socket::{Socket, SocketEvent};

/// How to get a token and a socket, and the socket.
pub(crate) struct Connection {
    url: String,
    /// Makes a WebSocket for a URL and a subprotocol.
    make_socket: Function,
    /// Gives a promise of a token.
    token: Option<Function>,
    socket: RefCell<Option<Rc<Socket>>>,
    /// Rises with each attempt, so that a token that comes too late is not used.
    attempt: Cell<u64>,
}

impl Connection {
    pub(crate) fn new(url: String, make_socket: Function, token: Option<Function>) -> Self {
        Self { url, make_socket, token, socket: RefCell::new(None), attempt: Cell::new(0) }
    }

    /// Gets a token for an attempt, then goes on with it.
    pub(crate) fn authorize(&self, shell: &Weak<Shell>) {
        self.give_up();
        let dial = |shell: &Shell, token| shell.handle_tabs(tabs::Input::Dial { token });
        let Some(token) = self.token.clone() else {
            if let Some(shell) = shell.upgrade() {
                dial(&shell, String::new());
            }
            return;
        };
        let (shell, attempt) = (shell.clone(), self.attempt.get());
        spawn_local(async move {
            let token = ask(&token).await;
            let Some(shell) = shell.upgrade() else { return };
            if shell.connection().attempt.get() != attempt {
                return;
            }
            match token {
                Ok(token) => dial(&shell, token),
                Err(error) => shell.handle(Input::SocketClosed { error: Some(error) }),
            }
        });
    }

    /// A token that is still to come is not wanted any more.
    pub(crate) fn give_up(&self) {
        self.attempt.set(self.attempt.get() + 1);
    }

    /// Asks for a new token for the present connection, where the app gives any.
    pub(crate) fn refresh_token(&self, shell: &Weak<Shell>) {
        let Some(token) = self.token.clone() else { return };
        let shell = shell.clone();
        spawn_local(async move {
            let token = ask(&token).await;
            if let Some(shell) = shell.upgrade() {
                shell.handle(Input::TokenRefreshed { token });
            }
        });
    }

    /// Opens a socket; what became of the one before does not matter any more.
    pub(crate) fn open(&self, shell: &Weak<Shell>) {
        let receiver = shell.clone();
        let on_event = move |event| {
            if let Some(shell) = receiver.upgrade() {
                hear(&shell, event);
            }
        };
        self.close();
        match Socket::open(&self.make_socket, &self.url, on_event) {
            Ok(socket) => drop(self.socket.replace(Some(Rc::new(socket)))),
            Err(error) => {
                if let Some(shell) = shell.upgrade() {
                    shell.handle_tabs(tabs::Input::SocketClosed { error: Some(error) });
                }
            }
        }
    }

    /// Sends a frame, when there is a socket.
    pub(crate) fn send(&self, frame: &[u8]) {
        let socket = self.socket.borrow().clone();
        if let Some(socket) = socket {
            socket.send(frame);
        }
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        drop(self.socket.take());
    }
}

/// Hands in what the socket tells.
pub(crate) fn hear(shell: &Shell, event: SocketEvent) {
    shell.handle_tabs(match event {
        SocketEvent::Opened => tabs::Input::SocketOpened,
        SocketEvent::Frame(frame) => tabs::Input::SocketFrame(frame),
        SocketEvent::Closed(error) => {
            shell.connection().close();
            tabs::Input::SocketClosed { error }
        }
    });
}

async fn ask(token: &Function) -> Result<String, Error> {
    let failed = |cause: JsValue| {
        let cause = describe(&cause);
        Error::new(Code::TokenFailed, format!("the token callback failed ({cause})"))
    };
    let promise: Promise = Promise::resolve(&token.call0(&JsValue::NULL).map_err(failed)?);
    let token = JsFuture::from(promise).await.map_err(failed)?;
    token.as_string().ok_or_else(|| {
        Error::new(Code::TokenFailed, "the token callback gave something that is no string")
    })
}
