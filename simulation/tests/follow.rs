//! A day and a half at the tip; `cargo xtask sim --follow-days 7` follows for a week.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::alloc::System;
use std::time::Duration;

use simulation::follow;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocated() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

#[test]
fn a_day_at_the_tip_leaves_what_a_fresh_sync_finds_and_nothing_else() {
    let followed = follow(1, 1, allocated).unwrap();
    println!("{followed:#?}");
    assert_eq!(followed.checks.len(), 3);
    assert_eq!(followed.rolled_back, [1, 5, 2, 6, 3, 7]);
    for check in &followed.checks {
        assert!(check.compared > 5);
        assert!(check.delay < Duration::from_secs(5), "{check:?}");
    }
}
