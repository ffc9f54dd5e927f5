//! Which web pages may open a WebSocket: a browser lets every page connect everywhere, also to a
//! relay on the user's own machine, and tells only where the page is from.

use axum::http::{HeaderMap, Uri, header};

/// The pages that are let in.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// Origins as browsers write them, or `*` for all.
    allowed: Vec<String>,
    /// Whether a page served under the very name it connects to is let in. Not on a loopback
    /// address: a stranger's name can be made to point there.
    allows_same_host: bool,
}

impl Origins {
    pub(crate) const fn new(allowed: Vec<String>, is_loopback: bool) -> Self {
        Self { allowed, allows_same_host: !is_loopback }
    }

    /// Whether a request may open a WebSocket. Programs that are no browsers name no origin.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        if self.allowed.iter().any(|allowed| allowed == "*" || allowed == origin) {
            return true;
        }
        let Ok(page) = origin.parse::<Uri>() else { return false };
        let Some(place) = page.authority().filter(|_| page.scheme().is_some()) else {
            return false;
        };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        is_loopback(place.host()) || (self.allows_same_host && host == Some(place.as_str()))
    }
}

/// Whether a host name means this machine wherever it is looked up.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: Option<&str>, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn strangers_pages_are_kept_out_and_everybody_else_is_let_in() {
        let on_loopback = Origins::new(vec!["https://app.example".to_owned()], true);
        let in_public = Origins::new(Vec::new(), false);
        let everywhere = Origins::new(vec!["*".to_owned()], true);
        for (origin, loopback, public) in [
            (None, true, true),
            (Some("http://127.0.0.1:5173"), true, true),
            (Some("http://localhost:3000"), true, true),
            (Some("http://[::1]:4700"), true, true),
            (Some("https://app.example"), true, false),
            (Some("https://app.example.evil"), false, false),
            (Some("http://app.example"), false, false),
            (Some("https://notes.example"), false, true),
            (Some("https://notes.example:444"), false, false),
            (Some("http://localhost.evil"), false, false),
            (Some("http://127.0.0.1.evil"), false, false),
            (Some("null"), false, false),
            (Some(""), false, false),
        ] {
            let headers = request(origin, "notes.example");
            assert_eq!(on_loopback.allow(&headers), loopback, "{origin:?} on loopback");
            assert_eq!(in_public.allow(&headers), public, "{origin:?} in public");
            assert!(everywhere.allow(&headers));
        }
    }
}
