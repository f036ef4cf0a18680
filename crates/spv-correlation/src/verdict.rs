use crate::registration::RequestId;

/// Which request a response answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It answers this request, which somebody waits for. The request has ended.
    Matched(RequestId),
    /// It answers this request, which was already reported refused, mismatched, ambiguous or expired, or
    /// was abandoned. The content may still be of use.
    Late(RequestId),
    /// It repeats an answer that was received before.
    Duplicate,
    /// Nobody asked for it, as far as is remembered.
    Unsolicited,
    /// The stream says that it answers this request, the content disagrees and fits no other request.
    /// The request has ended.
    Mismatched(RequestId),
    /// The peer keeps no order and the content fits each of these requests, oldest first. All of them
    /// have ended, because no later answer could be told apart either.
    Ambiguous(Vec<RequestId>),
    /// It fits several requests that are outstanding, and the next fence will tell which it answers: keep it until
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

/// What the arrival of a fence says about its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum FenceVerdict {
    /// The request was answered before its fence; a mismatched answer counts, the peer did reply.
    Answered {
        /// The request.
        id: RequestId,
        /// From registration to the fence: round trip, the peer's queue, service and transfer together.
        elapsed: std::time::Duration,
    },
    /// The response that was [held](Verdict::Held) answers this request. The request has ended.
    Matched {
        /// The request; it may be one that nobody waits for any more.
        id: RequestId,
        /// From registration to the fence.
        elapsed: std::time::Duration,
    },
    /// The peer handled the request and chose not to answer. The request has ended.
    Refused(RequestId),
    /// The fence belongs to this request, but this peer's fences prove nothing: the request goes on
    /// waiting, unless it had ended before.
    Inconclusive(RequestId),
    /// Not an outstanding fence: somebody else's ping, a repetition or a forgery.
    Unknown,
}
