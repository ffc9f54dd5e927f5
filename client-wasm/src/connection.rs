//! The connection of a session: a token for each attempt, then a socket.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use coweave_core::client::Input;
use coweave_core::error::{Code, Error};
use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::error::describe;
use crate::shell::Shell;
use crate::socket::{Socket, SocketEvent};

/// At most one socket, and how to get another one.
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

    /// Starts another attempt; what became of the one before does not matter any more.
    pub(crate) fn connect(&self, shell: &Weak<Shell>) {
        self.disconnect();
        let Some(token) = self.token.clone() else {
            return self.open(shell, String::new());
        };
        let (shell, attempt) = (shell.clone(), self.attempt.get());
        spawn_local(async move {
            let token = ask(&token).await;
            let Some(strong) = shell.upgrade() else { return };
            if strong.connection().attempt.get() != attempt {
                return;
            }
            match token {
                Ok(token) => strong.connection().open(&shell, token),
                Err(error) => strong.handle(Input::SocketClosed { error: Some(error) }),
            }
        });
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

    fn open(&self, shell: &Weak<Shell>, token: String) {
        let receiver = shell.clone();
        let on_event = move |event| {
            let Some(shell) = receiver.upgrade() else { return };
            shell.handle(match event {
                SocketEvent::Opened => Input::SocketOpened { token: token.clone() },
                SocketEvent::Frame(frame) => Input::SocketFrame(frame),
                SocketEvent::Closed(error) => {
                    shell.connection().disconnect();
                    Input::SocketClosed { error }
                }
            });
        };
        match Socket::open(&self.make_socket, &self.url, on_event) {
            Ok(socket) => drop(self.socket.replace(Some(Rc::new(socket)))),
            Err(error) => {
                if let Some(shell) = shell.upgrade() {
                    shell.handle(Input::SocketClosed { error: Some(error) });
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

    /// Closes the socket, or gives the attempt up.
    pub(crate) fn disconnect(&self) {
        self.attempt.set(self.attempt.get() + 1);
        drop(self.socket.take());
    }
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
