#![doc = include_str!("../README.md")]

mod conditions;
mod config;
mod error;
mod metrics;
mod monitor;
mod peer_health;
mod peer_record;
mod reliability;
mod rtt;
mod throughput;

pub use conditions::Conditions;
pub use config::Config;
pub use error::ConfigError;
pub use metrics::describe as describe_metrics;
pub use monitor::Monitor;
pub use peer_health::PeerHealth;
pub use reliability::Reliability;
