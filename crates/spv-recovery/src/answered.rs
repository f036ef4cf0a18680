use std::time::Instant;

use crate::{budget::Earned, pool_breaker::Phase};

/// An answer that counts as a success although it is not verified yet. The success can be taken back once, with
/// [`Recovery::on_wrong_answer`](crate::Recovery::on_wrong_answer); drop it when the answer is verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    pub(crate) at: Instant,
    pub(crate) earned: Earned,
    /// `None` if the pool's breaker did not count it.
    pub(crate) phase: Option<Phase>,
}
