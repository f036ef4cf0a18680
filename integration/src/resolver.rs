//! Looking up of names.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::config::PeerName;
use crate::panicked::contained_future;

/// Resolves names of nodes to addresses, by the system's DNS or by a simulation.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// A name cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {name:?}: {source}")]
pub struct LookupFailed {
    /// The name.
    pub name: String,
    /// Why.
    pub source: io::Error,
}

impl Resolver {
    /// The system's.
    pub fn system() -> Self {
        Self::new(|host, port| async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.collect())
        })
    }

    /// Creates a resolver that knows no name. Addresses are parsed without a resolver.
    pub fn none() -> Self {
        Self::new(|_, _| async { Err(io::ErrorKind::NotFound.into()) })
    }

    /// Creates a resolver from a function from host and port to addresses.
    pub fn new<F>(resolve: impl Fn(String, u16) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |host, port| Box::pin(resolve(host, port))))
    }

    /// Addresses of this name, one at least.
    ///
    /// # Errors
    /// When there is none, or none is found in time.
    ///
    /// # Cancel safety
    /// Cancel safe; a lookup under way ends by itself.
    pub(crate) async fn look_up(
        &self,
        name: &PeerName,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, LookupFailed> {
        if let Some(address) = name.address() {
            return Ok(vec![address]);
        }
        // Whoever waits for a name goes on without it.
        let lookup = contained_future(async { (self.0)(name.host().to_owned(), name.port()).await });
        let found = match tokio::time::timeout(limit, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(panic)) => {
                tracing::error!(%name, %panic, "looking up a name panicked");
                Err(io::Error::other("looking it up panicked"))
            }
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match found {
            Ok(addresses) if addresses.is_empty() => Err(io::ErrorKind::NotFound.into()),
            found => found,
        }
        .map_err(|source| LookupFailed { name: name.to_string(), source })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn an_address_needs_no_lookup_and_a_lookup_has_a_limit() {
        let silent = Resolver::new(|_, _| std::future::pending());
        let address = PeerName::parse("1.2.3.4:5", 9999).unwrap();
        assert_eq!(silent.look_up(&address, LIMIT).await.unwrap(), ["1.2.3.4:5".parse().unwrap()]);
        let name = PeerName::parse("silent", 9999).unwrap();
        let failed =
            tokio::time::timeout(2 * LIMIT, silent.look_up(&name, LIMIT)).await.unwrap().unwrap_err();
        assert_eq!((failed.name.as_str(), failed.source.kind()), ("silent", io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_one_that_fails() {
        let at_once =
            Resolver::new(|_, _| -> std::future::Ready<io::Result<Vec<SocketAddr>>> { panic!("at once") });
        let later = Resolver::new(|_, _| async { panic!("later") });
        let name = PeerName::parse("somebody", 9999).unwrap();
        for resolver in [at_once, later] {
            let failed = resolver.look_up(&name, LIMIT).await.unwrap_err();
            assert!(failed.to_string().contains("panicked"), "{failed}");
        }
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_not_found() {
        let empty = Resolver::new(|_, _| async { Ok(Vec::new()) });
        let name = PeerName::parse("nobody", 9999).unwrap();
        let failed = empty.look_up(&name, LIMIT).await.unwrap_err();
        assert_eq!(failed.source.kind(), io::ErrorKind::NotFound);
    }
}
