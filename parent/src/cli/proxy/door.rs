//! Who may come in: programs, not web pages.
//!
//! A browser sends requests to loopback for any page that asks it to. It marks those of scripts
//! and forms with `Origin` (Fetch standard, section 3.2); and a page whose own name was pointed at
//! loopback meanwhile (DNS rebinding) still sends that name as `Host`.

use super::{call, refused};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Uri, header};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::net::IpAddr;

/// What stands before the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A loopback address, which browsers reach.
    Loopback,
    /// A Unix socket, which they do not; what tools write as its host says nothing.
    UnixSocket,
}

/// Lets programs through.
pub(super) async fn through(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.check(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let code = refusal.code;
            refused(call::error(&serde_json::Value::Null, &refusal), code)
        }
    }
}

impl Door {
    fn check(self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let refuse = |sentence| Err(Refusal::new(RefusalCode::NotAuthenticated, sentence));
        if headers.contains_key(header::ORIGIN) {
            return refuse("the proxy serves programs; a request with an Origin is a web page's");
        }
        if self == Self::UnixSocket {
            return Ok(());
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        let here = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (Some(Ok(host)), None) => is_here(host),
            _ => false,
        };
        if !here || uri.authority().is_some_and(|authority| !is_here(authority.as_str())) {
            return refuse(
                "the proxy is called by a loopback address or as localhost, not by this Host",
            );
        }
        Ok(())
    }
}

/// Whether `HOST[:PORT]` is this machine by its own name.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address: Option<IpAddr> = match bracketed {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => name.parse().ok().filter(IpAddr::is_ipv4),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(door: Door, headers: &[(&'static str, &'static str)], uri: &str, good: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let uri = uri.parse().expect("is a URI");
        assert_eq!(door.check(&map, &uri).is_ok(), good, "{headers:?} {uri}");
    }

    #[test]
    fn a_host_is_this_machine() {
        let check = |host: &str, expected: bool| assert_eq!(is_here(host), expected, "{host}");
        for host in ["localhost", "LOCALHOST:8545", "127.0.0.1", "127.0.0.1:8545", "127.9.9.9:1"] {
            check(host, true);
        }
        check("[::1]", true);
        check("[::1]:8545", true);
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "localhost.",
            "127.0.0.1.example.com:8545",
            "0.0.0.0:8545",
            "10.0.0.1",
            "[::2]:8545",
            "[127.0.0.1]",
            "localhost:8545:1",
            "user@localhost",
            "2130706433",
        ] {
            check(host, false);
        }
    }

    #[test]
    fn a_web_page_does_not_come_in() {
        let here = ("host", "127.0.0.1:8545");
        check(Door::Loopback, &[here], "/", true);
        check(Door::Loopback, &[here], "http://localhost:8545/", true);
        check(Door::Loopback, &[here], "http://example.com/", false);
        check(Door::Loopback, &[here, ("origin", "https://example.com")], "/", false);
        check(Door::Loopback, &[here, ("origin", "http://127.0.0.1:8545")], "/", false);
        check(Door::Loopback, &[here, ("origin", "null")], "/", false);
        check(Door::Loopback, &[("host", "rebound.example:8545")], "/", false);
        check(Door::Loopback, &[], "/", false);
        check(Door::Loopback, &[here, ("host", "rebound.example")], "/", false);
        check(Door::UnixSocket, &[("host", "any.thing")], "/", true);
        check(Door::UnixSocket, &[here, ("origin", "null")], "/", false);
    }
}
