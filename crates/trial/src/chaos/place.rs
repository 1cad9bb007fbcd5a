//! The place in a URL: who is called, and where. Done by hand, because `{service}` in a URL of ours is not what a parser
//! would let stand.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

/// The address of the server that `url` names.
pub(super) async fn resolve(url: &str) -> anyhow::Result<SocketAddr> {
    let (_, place, _) = split(url)?;
    let found = tokio::net::lookup_host(place).await.with_context(|| place.to_owned())?.next();
    found.with_context(|| format!("{place} has no address"))
}

/// The same URL with another host and port.
pub(super) fn replace(url: &str, place: &str) -> anyhow::Result<String> {
    let (before, _, after) = split(url)?;
    Ok(format!("{before}{place}{after}"))
}

/// What stands before host and port, these themselves, and what stands behind them. An error never shows what stands
/// before: it may hold a password.
fn split(url: &str) -> anyhow::Result<(&str, &str, &str)> {
    let begin = url.find("://").context("it has no scheme")? + "://".len();
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |length| begin + length);
    let begin = url[begin..end].rfind('@').map_or(begin, |length| begin + length + 1);
    let place = &url[begin..end];
    let port = place.rsplit_once(':').map(|(_, port)| port);
    ensure!(port.is_some_and(|port| port.parse::<u16>().is_ok()), "{place:?} is not host:port");
    Ok((&url[..begin], place, &url[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_are_replaced() {
        for (url, expected) in [
            ("postgres://{service}:a@b@h:5432/db?x=1", "postgres://{service}:a@b@127.0.0.1:9/db?x=1"),
            ("postgres://u@[::1]:5432/db", "postgres://u@127.0.0.1:9/db"),
            ("http://h:50051", "http://127.0.0.1:9"),
            ("http://h:50051?x=a@b:1", "http://127.0.0.1:9?x=a@b:1"),
        ] {
            assert_eq!(replace(url, "127.0.0.1:9").unwrap(), expected);
        }
    }

    #[test]
    fn a_url_without_a_port_is_refused_without_its_password() {
        for url in ["h:5432", "postgres://u:hush@h/db", "postgres://u:hush@h:x/db"] {
            let why = replace(url, "127.0.0.1:9").unwrap_err().to_string();
            assert!(!why.contains("hush"), "{why}");
        }
    }
}
