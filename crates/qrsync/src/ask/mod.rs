//! Where the command line has its answers from: the store in the data directory, or a service that uses it.

mod open;
mod service;
mod source;

pub(crate) use open::open_to_change;
pub(crate) use service::{Event, EventLines, SOCKET};
pub(crate) use source::Source;
