use std::fmt::Debug;
use std::hash::Hash;

/// Sends one request to one peer and waits for its answer.
///
/// This is all an [`Executor`](crate::Executor) knows of the outside. How bytes travel, how an answer is told from
/// others and whether it is valid is the transport's business.
pub trait Transport: Send + Sync + 'static {
    /// What names a peer. If a peer can come back on a new connection, name the connection, not the address: then a
    /// reconnected peer does not inherit the load of its old connection.
    type Peer: Clone + Ord + Hash + Debug + Send + Sync + 'static;
    /// What is sent.
    type Request: Send + 'static;
    /// What comes back.
    type Response: Send + 'static;
    /// Why nothing came back.
    type Error: std::error::Error + Send + 'static;

    /// Sends `request` to `peer` and resolves with the answer.
    ///
    /// The executor counts the request against the peer until this future ends, and drops it at the hard limit or
    /// when the executor is closed; so the future must be safe to drop. It needs no timeout of its own. If it
    /// panics, the panic becomes the error of this request alone.
    fn send(
        &self,
        peer: &Self::Peer,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}
