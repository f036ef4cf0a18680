use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::panicked::contained_future;

/// A byte stream to a node.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How streams to nodes are opened: TCP, or what a simulation brings.
#[derive(Clone)]
pub struct Connector(Arc<Connect>);

type Connect = dyn Fn(SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync;

impl Connector {
    /// Plain TCP.
    pub fn tcp() -> Self {
        Self::new(|address| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }

    /// A way of one's own.
    pub fn new<F, S>(connect: impl Fn(SocketAddr) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: Stream + 'static,
    {
        Self(Arc::new(move |address| {
            let connecting = connect(address);
            Box::pin(async move { connecting.await.map(|stream| Box::new(stream) as Box<dyn Stream>) })
        }))
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        // Whoever keeps the connections goes on with the others.
        contained_future(async { (self.0)(address).await }).await.unwrap_or_else(|panic| {
            tracing::error!(peer = %address, %panic, "connecting panicked");
            Err(io::Error::other("connecting panicked"))
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    #[tokio::test]
    async fn a_connector_that_panics_is_a_node_that_cannot_be_reached() {
        let at_once =
            Connector::new(|_| -> std::future::Ready<io::Result<DuplexStream>> { panic!("at once") });
        let later = Connector::new(|address: SocketAddr| async move {
            tokio::task::yield_now().await;
            assert!(address.ip().is_loopback(), "later");
            io::Result::<DuplexStream>::Err(io::ErrorKind::Other.into())
        });
        for connector in [at_once, later] {
            let error = connector.connect("1.2.3.4:5".parse().unwrap()).await.err().unwrap();
            assert_eq!(error.to_string(), "connecting panicked");
        }
    }
}
