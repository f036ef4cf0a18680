mod abuse;
mod large;
pub(in crate::net) mod node;
mod slow;
