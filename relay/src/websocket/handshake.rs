//! The opening handshake (RFC 6455, section 4.2): what a request has to say, and the answer to it.

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header,
};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// What the RFC has both sides append to the key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;
const VERSION: &str = "13";

/// Why a request cannot become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotGet,
    OldHttp,
    NoHost,
    NotUpgrade,
    WrongVersion,
    NoKey,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotGet => (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened with GET"),
            Self::OldHttp => (StatusCode::BAD_REQUEST, "a WebSocket needs HTTP/1.1"),
            Self::NoHost => (StatusCode::BAD_REQUEST, "there is no host header"),
            Self::NotUpgrade => {
                (StatusCode::BAD_REQUEST, "the upgrade and connection headers ask for no WebSocket")
            }
            Self::WrongVersion => {
                (StatusCode::UPGRADE_REQUIRED, "this relay speaks version 13 of WebSockets")
            }
            Self::NoKey => {
                (StatusCode::BAD_REQUEST, "there is no right sec-websocket-key: 16 bytes in base64")
            }
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        match self {
            Self::NotGet => drop(headers.insert(header::ALLOW, HeaderValue::from_static("GET"))),
            Self::WrongVersion => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            }
            _ => {}
        }
        response
    }
}

/// Whether a request asks for another protocol at all.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Whether a client offers this subprotocol.
pub(crate) fn offers(headers: &HeaderMap, subprotocol: &str) -> bool {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == subprotocol)
}

/// Checks a request, and makes the answer that switches protocols. Extensions are never agreed on:
/// there is no compression, and so nothing that a small message could blow up to.
pub(crate) fn answer<B>(
    request: &Request<B>,
    subprotocol: Option<&'static str>,
) -> Result<Response, Refusal> {
    let headers = request.headers();
    let asks = |name, token: &str| {
        tokens(headers, &name).any(|offered| offered.eq_ignore_ascii_case(token))
    };
    if request.method() != Method::GET {
        return Err(Refusal::NotGet);
    }
    if request.version() < Version::HTTP_11 {
        return Err(Refusal::OldHttp);
    }
    if !headers.contains_key(header::HOST) {
        return Err(Refusal::NoHost);
    }
    if !asks(header::UPGRADE, "websocket") || !asks(header::CONNECTION, "upgrade") {
        return Err(Refusal::NotUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(Refusal::WrongVersion);
    }
    let accept = accept_of(headers).ok_or(Refusal::NoKey)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answers = response.headers_mut();
    answers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        answers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(response)
}

/// The proof that the key was read, when there is exactly one right key.
fn accept_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().filter(|_| keys.next().is_none())?.as_bytes();
    STANDARD.decode(key).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
    let digest = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    HeaderValue::try_from(STANDARD.encode(digest)).ok()
}

/// The elements of a header that is a list, over all of its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_gets_the_answer_of_the_rfc() {
        let mut request = Request::new(());
        for (name, value) in [
            ("host", "server.example.com"),
            ("upgrade", "h2c, WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-version", "13"),
        ] {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        assert!(offers(request.headers(), "superchat") && !offers(request.headers(), "super"));
        let answer = answer(&request, Some("superchat")).unwrap();
        let said = |name| answer.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(said("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(said("sec-websocket-protocol"), "superchat");
    }
}
