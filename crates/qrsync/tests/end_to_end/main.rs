//! The whole client against simulated networks on real sockets, and the binary as its users run it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a step that fails fails its test; a skipped one says so"
)]

mod api;
mod attacks;
mod blame;
mod client;
mod command_line;
mod decode;
mod end_states;
mod events;
mod faults;
mod follow;
mod interruption;
mod locks;
mod networks;
mod operator;
mod platform;
mod quorums;
mod recorded;
mod schemas;
mod service;
mod support;
mod terminal;
