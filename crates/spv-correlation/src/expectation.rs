use std::hash::Hash;

/// Describes the answer that a request expects. Implement it for the type of the request.
///
/// A connection has one order of messages, so all requests whose answers share a connection are one
/// type here: usually an enum with a variant per kind of request, and a response enum to go with it.
///
/// Where a method panics, so does the call that needed it. Every request still ends once, by its expiry or by closing.
pub trait Expectation {
    /// The message that answers.
    type Response;

    /// What identifies an answer: the hashes or heights that it echoes. For small messages the whole of it.
    type Content;

    /// Names all requests that the content of an answer cannot tell apart.
    ///
    /// Two requests with equal keys accept the same answers. While fences order the stream such
    /// requests may be in flight together; without fences at most one per key is.
    type Key: Eq + Hash + Clone;

    /// Returns the part of a response that identifies it.
    ///
    /// A [`Correlator`](crate::Correlator) calls it once for each response, before it takes its lock, so this is the place
    /// to decode.
    fn content(response: &Self::Response) -> Self::Content;

    /// Tells whether a response with this content answers this request.
    ///
    /// It runs for every outstanding and every remembered request whenever a message does not fit where
    /// the stream says it belongs, so it must be cheap: compare. Whether the answer is *true* is for the caller to verify
    /// once it knows whose it is.
    fn accepts(&self, content: &Self::Content) -> bool;

    /// Returns the key of this request.
    fn key(&self) -> Self::Key;

    /// Tells whether an honest peer may also send this message without a request.
    ///
    /// Such a message answers the request at its place in the stream when the content fits, and is
    /// [`Unsolicited`](crate::Verdict::Unsolicited) otherwise: it never ends a request as mismatched and
    /// is no evidence against the peer's order. The default is that nothing comes unasked.
    fn may_come_unasked(content: &Self::Content) -> bool {
        let _ = content;
        false
    }
}
