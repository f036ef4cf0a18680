use std::time::Duration;

use bytes::Bytes;

/// What the node does in response to a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Sends a message.
    Send(Bytes),
    /// Sends the answer to a data request, with all that follows so much later.
    Answer { frame: Bytes, delay: Duration },
    /// Sends the answer to a data request, with all that follows, when the next answer has been sent or none has come for a while.
    HeldAnswer { frame: Bytes },
    /// Sends an answer so much later, and does not let others wait for it; whether the request is still in flight is
    /// another reply's matter.
    StrayAnswer { frame: Bytes, by: Duration },
    /// Leaves a data request without an answer.
    NoAnswer,
    /// Closes the connection.
    Close,
}

impl Reply {
    /// Whether a data request is no longer in flight from then on.
    pub(super) fn ends_request(&self) -> bool {
        matches!(self, Self::Answer { .. } | Self::HeldAnswer { .. } | Self::NoAnswer)
    }
}
