//! Tests that look at the whole process: at what it allocates, and whether anything in it panics.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod bounds;
mod follow;
mod storage_faults;

use std::alloc::System;

use parking_lot::{Mutex, MutexGuard};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that this process has allocated and not freed.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Held by each of these tests, so that the others do not run.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}
