#![doc = include_str!("../README.md")]

mod answered;
mod backoff;
mod blocked;
mod breaker;
mod breakers;
mod budget;
mod circuit;
mod config;
mod decision;
mod error;
mod failure;
mod history;
mod ledger;
#[cfg(feature = "metrics")]
mod metrics;
mod outlook;
mod pool_breaker;
mod recovery;
mod statistics;
pub mod strategies;
mod strategy;

pub use answered::Answered;
pub use backoff::Backoff;
pub use blocked::Blocked;
pub use breaker::{Breaker, BreakerConfig};
pub use circuit::BreakerState;
pub use config::{BudgetConfig, Config};
pub use decision::{Action, Decision, GiveUpReason};
pub use error::ConfigError;
pub use failure::{Classify, FailureKind};
pub use fastrand::Rng;
pub use history::{Attempt, History};
pub use ledger::Ledger;
#[cfg(feature = "metrics")]
pub use metrics::{Reporter, describe_metrics};
pub use outlook::Outlook;
pub use pool_breaker::{PoolBreaker, PoolBreakerConfig};
pub use recovery::Recovery;
pub use statistics::Statistics;
pub use strategy::{Context, Strategy};
