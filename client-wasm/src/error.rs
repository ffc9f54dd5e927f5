//! Errors on their way to JavaScript: JSON text that the npm package turns into a `CoweaveError`.

use coweave_core::error::{Code, Error};
use serde::Serialize;
use wasm_bindgen::JsValue;

/// An error as the npm package reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorView {
    code: &'static str,
    message: String,
    fault: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl From<&Error> for ErrorView {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.as_str(),
            message: error.message.clone(),
            fault: error.code.fault().as_str(),
            retryable: error.is_retryable(),
            retry_after: error.retry_after_ms,
        }
    }
}

/// What a method of a class throws. Out of line, because every method has such a path.
#[cold]
#[inline(never)]
pub(crate) fn to_thrown(error: &Error) -> JsValue {
    JsValue::from_str(&to_json(&ErrorView::from(error)))
}

/// JSON text of one of our own views, which hold nothing that JSON cannot say.
pub(crate) fn to_json(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap_or_default()
}

/// The error for a handle whose room is closed.
#[cold]
pub(crate) fn disposed() -> Error {
    Error::new(Code::ApiDisposed, "the room was disposed")
}

/// The error for a device's store that cannot be used, with what the browser said about it.
pub(crate) fn device_unavailable(what: &str, cause: &JsValue) -> Error {
    let cause = describe(cause);
    Error::new(Code::DeviceUnavailable, format!("{what} ({cause})"))
}

/// What a thrown JavaScript value says of itself.
pub(crate) fn describe(value: &JsValue) -> String {
    let field = |name: &str| {
        js_sys::Reflect::get(value, &JsValue::from_str(name)).ok().and_then(|v| v.as_string())
    };
    match (field("name"), field("message")) {
        (Some(name), Some(message)) if !message.is_empty() => format!("{name}: {message}"),
        (Some(name), _) => name,
        (None, Some(message)) => message,
        (None, None) => value.as_string().unwrap_or_else(|| "no reason given".to_owned()),
    }
}
