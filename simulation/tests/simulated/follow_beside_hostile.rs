//! An hour at the tip beside nodes that are quick and hostile.

use std::thread;
use std::time::Duration;

use simulation::{Days, follow};

/// Each of these once kept a client from following, or from proving anything.
#[test]
fn an_hour_at_the_tip_beside_quick_nodes_that_are_hostile() {
    let hostile =
        [["flood=known-headers:20", "junk-chain=1000:200"], ["flood=fork-headers:20", "junk-chain=1000"]];
    thread::scope(|scope| {
        for nodes in hostile {
            scope.spawn(move || {
                let hostile = nodes.map(|text| text.parse().unwrap());
                let followed = follow(&Days { hostile: &hostile, ..Days::new(12, 1) }, || 0).unwrap();
                assert_eq!(followed.checks.len(), 1, "{nodes:?}");
                let check = followed.checks[0];
                assert!(check.delay < Duration::from_secs(10), "{nodes:?}: {check:?}");
            });
        }
    });
}
