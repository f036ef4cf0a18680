/// Expected cost of a request for its peer, see [`Transport::cost`](crate::Transport::cost).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Kind of the request. Times are measured per peer and kind, so requests that take about the same time should
    /// share a kind, and there should be few kinds.
    pub kind: &'static str,
    /// Expected size of the answer in bytes. Use 0 if it is unknown or small: then the byte budget does not delay the
    /// request.
    pub bytes: u64,
}
