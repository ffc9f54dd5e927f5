//! What whoever runs the relay may ask for over HTTP: how a room is, and that it be deleted.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use coweave_core::ids::RoomName;
use percent_encoding::percent_decode_str;

use crate::hub::Hub;
use crate::room_task::RoomStatus;

/// What stands before the name of a room.
const ROOMS: &str = "/rooms/";
/// A shorter token could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// The secret of whoever runs the relay. It is never shown.
#[derive(Clone)]
pub struct AdminToken(Arc<[u8]>);

impl AdminToken {
    /// Takes a token.
    ///
    /// # Errors
    /// What was expected instead, when it is too short or could not be sent in a header.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() < TOKEN_BYTES_MIN {
            return Err(format!("a token of at least {TOKEN_BYTES_MIN} characters was expected"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token of ASCII characters without spaces was expected".to_owned());
        }
        Ok(Self(text.as_bytes().into()))
    }

    /// Reads a token from a file; white space around it does not count.
    ///
    /// # Errors
    /// Why not, in words that go on from "but".
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("that file cannot be read: {error}"))?;
        Self::parse(text.trim()).map_err(|expected| format!("in that file {expected}"))
    }

    /// Takes as long for every wrong token of the same length.
    fn is(&self, given: &[u8]) -> bool {
        let difference = self.0.iter().zip(given).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        self.0.len() == given.len() && difference == 0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

/// Whether a request is one for [`answer`].
pub(crate) fn is_for(request: &Request) -> bool {
    request.uri().path().starts_with(ROOMS)
}

/// The answer to a request for a room. To be called only when there is a token.
pub(crate) async fn answer(hub: &Arc<Hub>, token: &AdminToken, request: &Parts) -> Response {
    let method = &request.method;
    if let Err(refusal) = authorize(token, &request.headers) {
        return refusal.into_response();
    }
    if *method != Method::GET && *method != Method::DELETE {
        let allow = [(header::ALLOW, "GET, DELETE")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let name = match name_in(request.uri.path()) {
        Ok(name) => name,
        Err(problem) => return (StatusCode::BAD_REQUEST, problem).into_response(),
    };
    // Asking must not make a room.
    match hub.store.contains(&name).await {
        Ok(true) => {}
        Ok(false) => return (StatusCode::NOT_FOUND, "there is no such room").into_response(),
        Err(error) => {
            tracing::error!(room = %name, %error, "a room cannot be looked up");
            return unavailable("the store fails");
        }
    }
    if *method == Method::GET {
        return match hub.status(&name).await {
            Some(status) => show(&status),
            None => unavailable("the room cannot be loaded"),
        };
    }
    match hub.delete(&name).await {
        Ok(()) => {
            tracing::info!(room = %name, "a room was deleted");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error.message),
    }
}

type Refusal = (StatusCode, [(header::HeaderName, &'static str); 1], &'static str);

fn authorize(token: &AdminToken, headers: &HeaderMap) -> Result<(), Refusal> {
    const CHALLENGE: [(header::HeaderName, &str); 1] = [(header::WWW_AUTHENTICATE, "Bearer")];

    let given = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    let Some((scheme, given)) = given.and_then(|value| value.split_at_checked(7)) else {
        return Err((StatusCode::UNAUTHORIZED, CHALLENGE, "the admin token is needed"));
    };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err((StatusCode::UNAUTHORIZED, CHALLENGE, "the admin token is needed"));
    }
    if token.is(given) {
        return Ok(());
    }
    tracing::warn!("somebody tried a wrong admin token");
    Err((StatusCode::FORBIDDEN, CHALLENGE, "this is not the admin token"))
}

fn name_in(path: &str) -> Result<RoomName, String> {
    let name = percent_decode_str(path.strip_prefix(ROOMS).unwrap_or(path))
        .decode_utf8()
        .map_err(|_not_utf8| "a room name has to be UTF-8 text".to_owned())?;
    RoomName::parse(&name).map_err(|error| error.to_string())
}

fn show(status: &RoomStatus) -> Response {
    let RoomStatus { lineage, sequence, bytes, members } = status;
    let json = format!(
        "{{\"lineage\":\"{lineage:?}\",\"sequence\":{},\"bytes\":{bytes},\"members\":{members}}}\n",
        sequence.0
    );
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn unavailable(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_whole_and_never_shown() {
        let token = AdminToken::parse("0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for wrong in [&b""[..], b"0", b"0123456789abcdeF", b"0123456789abcdef0"] {
            assert!(!token.is(wrong));
        }
        assert_eq!(format!("{token:?}"), "AdminToken(..)");
        assert!(AdminToken::parse("0123456789abcde").is_err());
        assert!(AdminToken::parse("0123456789 abcdef").is_err());
    }

    #[test]
    fn a_token_is_read_from_a_file_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        assert!(AdminToken::read(file.path()).unwrap().is(b"0123456789abcdef"));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(AdminToken::read(file.path()).unwrap_err().contains("at least 16"));
    }
}
