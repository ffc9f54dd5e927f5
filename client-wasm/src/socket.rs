//! One WebSocket: frames in and out, and nothing heard of it any more once it is dropped.
//!
//! How to make one is handed in, because Node 20 has none of its own; that, the agreed subprotocol
//! and the prompt end of a socket that is still connecting are why no ready-made wrapper is used.

use bytes::Bytes;
use coweave_core::error::{Code, Error};
use coweave_core::wire::v1::SUBPROTOCOL;
use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, WebSocket};

use crate::error::describe;

/// What a socket tells.
pub(crate) enum SocketEvent {
    /// It is open, with our subprotocol.
    Opened,
    /// A binary frame.
    Frame(Bytes),
    /// It is of no use any more; the last event.
    Closed(Option<Error>),
}

/// A socket that is connecting or open. Dropping it closes it, after what was sent.
pub(crate) struct Socket {
    socket: WebSocket,
    // The browser calls these as long as the socket lives.
    _on_open: Closure<dyn Fn()>,
    _on_close: Closure<dyn Fn()>,
}

impl Socket {
    /// Starts to connect. Frames go from what `make` makes to [`crate::Client::receive`], because to ask
    /// an event for its data takes five calls over the border.
    pub(crate) fn open(
        make: &Function,
        url: &str,
        on_event: impl Fn(SocketEvent) + Clone + 'static,
    ) -> Result<Self, Error> {
        let socket: WebSocket = make
            .call2(&JsValue::NULL, &url.into(), &SUBPROTOCOL.into())
            .map_err(|cause| Error::new(Code::ConnectionLost, describe(&cause)))?
            .unchecked_into();
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = Closure::<dyn Fn()>::new({
            let (socket, on_event) = (socket.clone(), on_event.clone());
            move || on_event(opened(&socket))
        });
        let on_close = Closure::<dyn Fn()>::new(move || on_event(SocketEvent::Closed(None)));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self { socket, _on_open: on_open, _on_close: on_close })
    }

    /// Sends a frame. A socket that cannot send any more says so with its close event.
    pub(crate) fn send(&self, frame: &[u8]) {
        // A copy: memory of this module may move while the socket still holds the frame.
        drop(self.socket.send_with_array_buffer(&Uint8Array::from(frame).buffer()));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        drop(self.socket.close());
    }
}

fn opened(socket: &WebSocket) -> SocketEvent {
    if socket.protocol() == SUBPROTOCOL {
        return SocketEvent::Opened;
    }
    let text = format!("the server at {} does not speak {SUBPROTOCOL}", socket.url());
    SocketEvent::Closed(Some(Error::new(Code::ProtocolUnsupported, text)))
}

/// What a message is; `None` stands for a text.
pub(crate) fn received(frame: Option<Vec<u8>>) -> SocketEvent {
    let Some(frame) = frame else {
        let text = "the server sent a text frame";
        return SocketEvent::Closed(Some(Error::new(Code::FrameUnexpected, text)));
    };
    SocketEvent::Frame(frame.into())
}
