//! A day at the tip; `cargo xtask sim --follow-days 7` follows for a week.

use std::time::Duration;

use simulation::{BLOCKS_PER_DAY, Days, follow};

use crate::{allocated, alone};

#[test]
fn a_day_at_the_tip_leaves_what_a_fresh_sync_finds_and_nothing_else() {
    let _alone = alone();
    let followed = follow(&Days::new(BLOCKS_PER_DAY, 1), || allocated() as u64).unwrap();
    assert_eq!((followed.checks.len(), followed.failed_steps), (4, 0));
    assert_eq!(followed.rolled_back, [1, 5, 2, 6, 3, 7]);
    for check in &followed.checks {
        assert!(check.compared > 5);
        assert!(check.delay < Duration::from_secs(5), "{check:?}");
        // Work blocks' lists, those of the last 64 blocks, and the tip's.
        assert!(check.lists < check.height as usize / 24 + 68, "{check:?}");
        // Five nodes with three tasks per connection, and the client's two per peer.
        assert!(check.tasks <= 5 + 5 * 3 + 5 * 2, "{check:?}");
    }
    let [first, .., last] = &followed.checks[..] else { panic!("four checks") };
    // Headers, lists and what the simulated nodes note of each request.
    let grown = last.allocated.saturating_sub(first.allocated) / u64::from(last.height - first.height);
    assert!(grown < 3_200, "{grown} bytes per block");
    assert!(followed.requests < 2 * u64::from(followed.blocks));
}
