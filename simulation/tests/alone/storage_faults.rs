//! A sync on a disk that loses what was not synced, flips bits, is full or slow gets there, or says why not.

use simulation::{Survived, survive};

use crate::alone;

/// Two of these flip bits, and one has a slow disk. The long form is `cargo xtask sim --storage-faults 1000`.
const SEEDS: [u64; 8] = [0, 1, 2, 3, 4, 6, 7, 9];

#[test]
fn whatever_a_disk_does_the_next_start_reaches_the_same_state() {
    let _alone = alone();
    let mut total = Survived::default();
    for seed in SEEDS {
        match survive(seed) {
            Ok(survived) => total += survived,
            Err(failure) => panic!("{failure:?}; repeat: cargo xtask sim --storage-faults 1 --seed {seed}"),
        }
    }
    println!("{total}");
    assert!(total.kills > 0 && total.power_losses > 0 && total.full > 0 && total.flips > 0, "{total}");
}
