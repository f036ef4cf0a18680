#![doc = include_str!("../README.md")]

mod conditions;
mod confidence;
mod config;
mod error;
mod median;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;
mod min_rtt;
mod monitor;
mod pace;
mod peer_health;
mod peer_record;
mod reliability;
mod rtt;
mod throughput;

pub use conditions::Conditions;
pub use confidence::Confidence;
pub use config::Config;
pub use error::ConfigError;
#[cfg(feature = "metrics")]
pub use metrics::describe as describe_metrics;
pub use monitor::Monitor;
pub use pace::Pace;
pub use peer_health::{KindHealth, PeerHealth};
pub use reliability::Reliability;
