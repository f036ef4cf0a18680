#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod correlator;
mod error;
mod expectation;
mod flight_table;
mod history;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;
mod pending;
mod registration;
mod single_flight;
mod ticket;
mod verdict;

pub use answer::{Answer, Delivery};
pub use config::{Config, ConfigError};
pub use correlator::Correlator;
pub use error::{CorrelationError, RegisterError};
pub use expectation::Expectation;
pub use flight_table::{CallerId, FlightTable, Role, TooManyCallers};
#[cfg(feature = "metrics")]
pub use metrics::describe as describe_metrics;
pub use pending::PendingTable;
pub use registration::{Registration, RequestId};
pub use single_flight::SingleFlight;
pub use ticket::Ticket;
pub use verdict::{FenceVerdict, Verdict};
