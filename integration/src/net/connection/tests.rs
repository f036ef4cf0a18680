mod abuse;
mod large;
mod node;
mod slow;
