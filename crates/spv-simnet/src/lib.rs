#![doc = include_str!("../README.md")]

mod chain;
mod config;
mod error;
mod faults;
mod generate;
mod history;
mod in_memory;
mod luck;
mod network;
mod node;
mod stats;
mod world;

pub use chain::{ActiveChain, InstantLocker, QRInfoConstruction, Refusal};
pub use config::{NetworkConfig, PeerConfig};
pub use error::NetworkError;
pub use faults::{
    ClockOffset, Faults, FaultsError, Flood, FloodKind, InstantLockAnnouncements, JunkChain,
    LockAnnouncements, Schedule,
};
pub use generate::{Forks, GeneratedSpec, QuorumProfile, SpecError, Unlocked};
pub use in_memory::{Arrival, InMemoryNetwork};
pub use luck::{Fate, Luck};
pub use network::Network;
pub use stats::{PeerStats, RequestCounts};
pub use world::{CacheError, Inconsistency, World, WorldError};
