/// What a request is expected to ask of its peer, see [`Transport::cost`](crate::Transport::cost).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// What kind of request it is. Times are measured per peer and kind, so requests that take about as long should
    /// share one, and there should be few.
    pub kind: &'static str,
    /// The expected size of the answer in bytes. 0 when it is unknown or small: then the byte budget does not hold
    /// the request up.
    pub bytes: u64,
}
