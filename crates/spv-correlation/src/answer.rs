use std::time::Duration;

use crate::{registration::RequestId, verdict::Verdict};

/// A response that belongs to the request whose ticket resolved to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// The response. Only its [`content`](crate::Expectation::content) was compared.
    pub response: R,
    /// Time from registration to arrival.
    pub elapsed: Duration,
}

/// Result of the delivery of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an undelivered response may still be of use, or tell against the peer"]
pub enum Delivery<R> {
    /// The response was delivered to the ticket of this request.
    Delivered(RequestId),
    /// The response fits several requests and is held until the next fence shows which one it answers. If that request
    /// is abandoned meanwhile, the response is dropped.
    Held,
    /// No caller waits for the response.
    Undelivered {
        /// The response, unchanged.
        response: R,
        /// Why it was not delivered; never [`Verdict::Matched`] or [`Verdict::Held`].
        verdict: Verdict,
    },
}
