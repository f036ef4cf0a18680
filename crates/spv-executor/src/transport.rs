use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use crate::Cost;

/// Sends one request to one peer and waits for its answer.
///
/// This is all an [`Executor`](crate::Executor) knows of the outside. How bytes travel, how an answer is told from
/// others and whether it is valid is the transport's business. [`send`](Self::send) is enough to begin with; each of
/// the other methods lets the executor do one more thing. A method other than `send` and `admit` that panics over a request
/// or a peer counts as one that knows nothing; one that panics over an answer ends that request alone.
#[expect(
    unused_variables,
    reason = "the names are the documentation of methods that know nothing by default"
)]
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

    /// Waits until a request may be sent to `peer`, for example for a local rate limit. By default there is no wait.
    ///
    /// The peer's slot is taken meanwhile, but its time has not begun: no timeout runs, and nothing is learned from the
    /// wait. Only closing the executor ends it, so it must not wait for the peer. If it panics, the panic becomes the error
    /// of this request alone.
    fn admit(&self, peer: &Self::Peer) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Tells whether `error` counts as a failure of the peer. By default every error does.
    ///
    /// One that does not, such as a full table of our own, ends the request and is no failure of the peer, which neither
    /// rests nor looks worse to a [`PeerSelector`](crate::PeerSelector) for it. But then the peer is free again at once,
    /// and attracts what waits: say so only of what the caller will not run into again and again.
    fn blames_peer(&self, error: &Self::Error) -> bool {
        true
    }

    /// Returns the expected cost of `request`: its kind, because times are measured per kind, and its expected bytes,
    /// for the byte budget. By default all requests have one kind and an unknown size.
    fn cost(&self, request: &Self::Request) -> Cost {
        Cost::default()
    }

    /// Returns the size of an answer in bytes. By default 0, which means the expected size.
    fn size(&self, response: &Self::Response) -> u64 {
        0
    }

    /// Returns a copy of `request` for a second peer, or `None`, the default, if it must not be sent twice. Without
    /// copies there is no hedging.
    fn duplicate(&self, request: &Self::Request) -> Option<Self::Request> {
        None
    }

    /// Returns the round trip to `peer`; it is called after each answer. The value should be smoothed and measured by
    /// pings while the peer was idle. If it is `None`, the default, the last value of
    /// [`set_rtt`](crate::Executor::set_rtt) is used.
    fn rtt(&self, peer: &Self::Peer) -> Option<Duration> {
        None
    }

    /// Returns the group of `peer`. Peers of one group are likely to be slow together, for example those in one
    /// network, so a copy prefers a peer of another group. By default all peers are in one group.
    fn group(&self, peer: &Self::Peer) -> u64 {
        0
    }
}
