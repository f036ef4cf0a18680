//! The client against simulated nodes in virtual time. One program, because each one takes long to build.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod anchoring;
mod chain_locks;
mod cold_start;
mod credit;
mod damage;
mod discovery;
mod follow_beside_hostile;
mod headers2;
mod hearing;
mod instant_locks;
mod log;
mod lookups;
mod named_causes;
mod networks;
mod panics;
mod resuming;
mod scenarios;
mod signers;
mod standing;
mod switches;
mod threads;
