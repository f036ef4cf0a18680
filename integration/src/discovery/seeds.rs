use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;

use crate::config::PeerName;
use crate::resolver::{LookupFailed, Resolver};

/// Asks all seeds at once; gives what those answer that do so in time.
///
/// # Errors
/// When not one of them does.
///
/// # Cancel safety
/// Cancel safe; a lookup under way ends by itself.
pub(super) async fn look_up(
    resolver: &Resolver,
    seeds: &[PeerName],
    limit: Duration,
) -> Result<Vec<SocketAddr>, LookupFailed> {
    let lookups = seeds.iter().map(|name| resolver.look_up(name, limit));
    let mut addresses = Vec::new();
    let mut failure = None;
    for found in join_all(lookups).await {
        match found {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                tracing::debug!(%error, "DNS seed failed");
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(failure) if addresses.is_empty() => Err(failure),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seed_that_fails_does_not_spoil_the_others() {
        let limit = Duration::from_secs(30);
        let named = |names: &[&str]| -> Vec<PeerName> {
            names.iter().map(|name| PeerName::parse(name, 9999).unwrap()).collect()
        };
        let resolver = Resolver::none();
        let names = named(&["unknown", "127.0.0.1:7", "also unknown"]);
        let found = look_up(&resolver, &names, limit).await.unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse().unwrap()]);
        let failed = look_up(&resolver, &named(&["unknown"]), limit).await.unwrap_err();
        assert_eq!(failed.name, "unknown");
        assert_eq!(look_up(&resolver, &[], limit).await.unwrap(), []);
    }
}
