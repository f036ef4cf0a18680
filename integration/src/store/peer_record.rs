use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock::UnixTime;

/// What is known of the node at one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerRecord {
    /// Who told of it.
    pub source: Source,
    /// When others last saw it, as far as we were told. Times are since 1970, in JSON in seconds.
    #[serde(serialize_with = "seconds")]
    pub seen: UnixTime,
    /// When we last tried to connect.
    #[serde(serialize_with = "optional_seconds")]
    pub tried: Option<UnixTime>,
    /// When it last answered us.
    #[serde(serialize_with = "optional_seconds")]
    pub succeeded: Option<UnixTime>,
    /// Attempts to connect that failed in a row.
    pub failures: u32,
    /// Useful answers. This and the other counts of answers are halved when they have become many, so that what a node
    /// does today outweighs what it once did.
    pub served: u32,
    /// Requests that it refused.
    pub refused: u32,
    /// Requests that came to nothing otherwise.
    pub failed: u32,
    /// Answers that were shown to be wrong.
    pub lied: u32,
    /// Round trip; in JSON `rtt_ms`, in milliseconds.
    #[serde(rename = "rtt_ms", serialize_with = "optional_milliseconds")]
    pub rtt: Option<Duration>,
    /// Why and for how long it is avoided. Left out of JSON.
    #[serde(skip)]
    pub ban: Option<Ban>,
}

/// Who told of an address. In JSON it is [its name](Self::as_str).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The configuration.
    Configured,
    /// A DNS seed.
    Seed,
    /// This program, as one of the network's fixed seeds.
    FixedSeed,
    /// A proven masternode list, in which it was valid.
    Masternode,
    /// A node in the network with this number.
    Gossip(u64),
}

impl Source {
    /// Returns the name, without the number of the network that a node is in: it means nothing outside of the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Seed => "seed",
            Self::FixedSeed => "fixed_seed",
            Self::Masternode => "masternode",
            Self::Gossip(_) => "gossip",
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A node is not connected to for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Until when.
    pub until: UnixTime,
    /// Why.
    pub reason: BanReason,
}

/// Why a node is avoided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BanReason {
    /// It sent something that was shown to be wrong.
    Lied,
    /// It refused whatever it was asked for.
    Refuses,
    /// Its chain ends far below the tip.
    Behind,
    /// The user said so.
    Manual,
}

impl BanReason {
    /// Name as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lied => "lied",
            Self::Refuses => "refuses",
            Self::Behind => "behind",
            Self::Manual => "manual",
        }
    }
}

fn seconds<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

fn optional_seconds<S: Serializer>(time: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs()).serialize(serializer)
}

fn optional_milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64() * 1e3).serialize(serializer)
}
