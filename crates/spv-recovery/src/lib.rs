#![doc = include_str!("../README.md")]

mod backoff;
mod breaker;
mod breakers;
mod budget;
mod config;
mod decision;
mod error;
mod failure;
mod history;
mod ledger;
mod metrics;
mod recovery;
mod statistics;
pub mod strategies;
mod strategy;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerConfig, BreakerState};
pub use config::{BudgetConfig, Config};
pub use decision::{Action, Decision, GiveUpReason};
pub use error::ConfigError;
pub use failure::{Classify, FailureKind};
pub use fastrand::Rng;
pub use history::{Attempt, History};
pub use ledger::Ledger;
pub use metrics::describe_metrics;
pub use recovery::Recovery;
pub use statistics::Statistics;
pub use strategy::{Context, Strategy};
