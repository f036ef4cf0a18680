use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Called with the address of a node that has refused a request for lists, once for each refusal, whether somebody still
/// waits for the answer or not: the node counts them all.
#[derive(Clone)]
pub(crate) struct OnRefusal(pub(crate) Arc<dyn Fn(SocketAddr) + Send + Sync>);

impl fmt::Debug for OnRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRefusal")
    }
}
