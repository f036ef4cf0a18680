//! How requests end, as metrics name it, beside the kinds of the errors.

/// The answer came in time, and its caller accepted it.
pub(crate) const SUCCEEDED: &str = "succeeded";
/// The answer came in time, and its caller rejected it.
pub(crate) const WRONG_ANSWER: &str = "wrong_answer";
/// The answer came in time, and its caller gave no verdict.
pub(crate) const UNJUDGED: &str = "unjudged";

/// The answer to a late request came.
pub(crate) const ANSWERED: &str = "answered";

/// The copy at a second peer was answered first.
pub(crate) const HEDGE_WON: &str = "won";
pub(crate) const HEDGE_LOST: &str = "lost";
pub(crate) const HEDGE_FAILED: &str = "failed";
