//! How log lines are written: times as a person writes them, and no kind of event so often that it hides the others.

mod listed;
mod seldom;
mod span;

pub(crate) use listed::Listed;
pub(crate) use seldom::Seldom;
pub(crate) use span::Span;
