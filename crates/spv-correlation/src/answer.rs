use std::time::Duration;

use crate::{registration::RequestId, verdict::Verdict};

/// A response that belongs to the request whose ticket resolved to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// The response; only its [`content`](crate::Expectation::content) has been compared.
    pub response: R,
    /// From registration to arrival.
    pub elapsed: Duration,
}

/// What became of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an undelivered response may still be of use, or tell against the peer"]
pub enum Delivery<R> {
    /// The ticket of this request has it.
    Delivered(RequestId),
    /// It fits several requests and waits for the fence that tells which it answers. Where that request is abandoned
    /// meanwhile, the response is dropped.
    Held,
    /// Nobody waits for it.
    Undelivered {
        /// The response, unchanged.
        response: R,
        /// Why it was not delivered; never [`Verdict::Matched`] or [`Verdict::Held`].
        verdict: Verdict,
    },
}
