/// Where answers are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// On threads of their own, one per core.
    Threads,
    /// In the task that received them, so that paused time stands still meanwhile. Blocks the runtime.
    Inline,
}
