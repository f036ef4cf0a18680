//! The executor as its users see it, over a scripted transport and in paused time.

mod accounting;
mod answers;
mod behaviour;
mod caps;
mod eligibility;
mod metrics;
mod pipeline;
mod selection;
mod support;
