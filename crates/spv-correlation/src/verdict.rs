use crate::registration::RequestId;

/// The decision which request a response answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The response answers this request, for which a caller waits. The request has ended.
    Matched(RequestId),
    /// The response answers this request, which was already reported as refused, mismatched, ambiguous or expired, or
    /// was abandoned. The content may still be useful.
    Late(RequestId),
    /// The response repeats an answer that was received before.
    Duplicate,
    /// The response fits no request that is remembered.
    Unsolicited,
    /// By its place in the stream the response answers this request, but its content fits neither this nor another
    /// request. The request has ended.
    Mismatched(RequestId),
    /// The peer does not keep order, and the content fits each of these requests, oldest first. All of them have ended,
    /// because later answers would be ambiguous too.
    Ambiguous(Vec<RequestId>),
    /// The response fits several outstanding requests, and the next fence will show which one it answers. Keep it until
    /// [`FenceVerdict::Matched`]. A further such response is [`Duplicate`](Self::Duplicate), so at most one is kept.
    Held,
}

impl Verdict {
    /// The verdict as a metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Matched(_) => "matched",
            Self::Late(_) => "late",
            Self::Duplicate => "duplicate",
            Self::Unsolicited => "unsolicited",
            Self::Mismatched(_) => "mismatched",
            Self::Ambiguous(_) => "ambiguous",
            Self::Held => "held",
        }
    }
}

/// The meaning of a returned fence for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum FenceVerdict {
    /// The request was answered before its fence returned. A mismatched answer counts too, because the peer did reply.
    Answered {
        /// The request.
        id: RequestId,
        /// Time from registration to the fence: round trip, the peer's queue, service and transfer together.
        elapsed: std::time::Duration,
    },
    /// The response that was [held](Verdict::Held) answers this request. The request has ended.
    Matched {
        /// The request. Its caller may no longer wait.
        id: RequestId,
        /// Time from registration to the fence.
        elapsed: std::time::Duration,
    },
    /// The peer handled the request and chose not to answer. The request has ended.
    Refused(RequestId),
    /// The fence belongs to this request, but the peer is unfenced, so it proves nothing: the request continues to
    /// wait, unless it had ended before.
    Inconclusive(RequestId),
    /// The nonce belongs to no outstanding fence: it is that of another ping, a repetition or a forgery.
    Unknown,
}
