#![doc = include_str!("../README.md")]

mod accuracy;
mod bound;
mod checks;
mod disk;
mod failure;
mod follow;
mod gauges;
mod observer;
mod report;
mod run;
mod scenario;
mod storage_faults;
mod surroundings;

pub use accuracy::Accuracy;
pub use disk::Disk;
pub use failure::Failure;
pub use follow::{BLOCKS_PER_DAY, Check, Days, FollowFailure, Followed, follow};
pub use observer::Peaks;
pub use report::{Figures, Report, Spread};
pub use run::{Run, run, run_with_threads};
pub use scenario::{SCENARIOS, Scenario, scenario};
pub use storage_faults::{Survived, read_changed, stored_bytes, survive};
pub use surroundings::{nodes, surroundings};

/// The programs of the library guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
struct LibraryGuide;
