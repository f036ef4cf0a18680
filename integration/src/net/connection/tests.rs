mod abuse;
mod headers2;
mod large;
pub(in crate::net) mod node;
mod slow;
