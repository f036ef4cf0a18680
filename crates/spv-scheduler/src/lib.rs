#![doc = include_str!("../README.md")]

mod config;
mod error;
mod job;
mod metrics;
mod priority;
mod queue;
mod scheduler;
mod token_bucket;

pub use config::Config;
pub use error::{ConfigError, PushError, QueueFull, UnknownTicket};
pub use job::{Cancelled, Job, Lengths, Next, Ticket};
pub use metrics::describe_metrics;
pub use priority::{Priority, Rank};
pub use queue::Queue;
pub use scheduler::Scheduler;
pub use token_bucket::TokenBucket;
