//! What is printed and written.

mod compare;
mod html;
mod svg;
mod table;
mod takeaways;
mod waterfall;

use serde::{Deserialize, Serialize};

use crate::suite::Cell;

pub(crate) use compare::compare;
pub(crate) use html::{Sweep, page};
pub(crate) use table::{summary, table};

/// Everything that a run of the suite brings, as it is written to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The command that repeats it.
    pub(crate) command: String,
    /// Revision of the sources.
    pub(crate) commit: String,
    /// Processor and number of cores. Virtual time does not depend on them.
    pub(crate) machine: String,
    /// First seed and the one after the last.
    pub(crate) seeds: (u64, u64),
    pub(crate) cells: Vec<Cell>,
    /// What the names stand for.
    pub(crate) legend: Vec<(String, String)>,
}
