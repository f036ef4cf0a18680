use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;

/// No DNS seed gave an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {name:?}: {source}")]
pub(crate) struct LookupFailed {
    /// One of the seeds.
    pub(crate) name: String,
    /// Why.
    pub(crate) source: io::Error,
}

/// Asks all seeds, `HOST:PORT`, at once; gives what those answer that do so in time.
///
/// # Errors
/// When not one of them does.
///
/// # Cancel safety
/// Cancel safe; a lookup under way ends by itself.
pub(super) async fn look_up(seeds: Vec<String>, limit: Duration) -> Result<Vec<SocketAddr>, LookupFailed> {
    let lookups = seeds.into_iter().map(|name| async move {
        let found = tokio::time::timeout(limit, tokio::net::lookup_host(name.as_str())).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        found.map(|addresses| addresses.collect::<Vec<_>>()).map_err(|source| LookupFailed { name, source })
    });
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
        let names = ["no port", "127.0.0.1:7", "also wrong"].map(str::to_owned);
        let found = look_up(names.to_vec(), limit).await.unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse().unwrap()]);
        let failed = look_up(vec!["no port".to_owned()], limit).await.unwrap_err();
        assert_eq!(failed.name, "no port");
        assert_eq!(look_up(Vec::new(), limit).await.unwrap(), []);
    }
}
