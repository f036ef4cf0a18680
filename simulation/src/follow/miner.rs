use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::chain::{Chains, START};
use super::{CHECKED_EVERY, Days, FollowFailure, Followed, HONEST_NODES, Log, Subject};

/// Mines blocks, takes peers down and up, and has the client's state compared now and then.
pub(super) async fn mine(
    days: &Days<'_>,
    chains: &Chains,
    subject: &Subject,
    log: &Mutex<Log>,
    rng: &mut Rng,
    allocated: fn() -> u64,
) -> Result<Followed, FollowFailure> {
    let (blocks, outage) = (days.blocks, &days.outage);
    let mut followed = Followed::default();
    let addresses = &subject.addresses;
    // One that stays, so that there is somebody who can tell of the newest block at once.
    let leaving = &addresses[1..HONEST_NODES];
    for block in 1..=blocks {
        let pause = Duration::from_secs(rng.u64(10..=290));
        sleep(pause).await;
        let height = START + block;
        let mined = Instant::now();
        let away = outage.contains(&block);
        for &address in addresses {
            sleep(Duration::from_millis(rng.u64(0..400))).await;
            subject.network.activate(address, chains.at(height));
            if block == outage.start {
                subject.network.take_down(address);
            }
            if block == outage.end {
                subject.network.bring_up(address);
            }
        }
        if !away && rng.u32(0..10) == 0 {
            churn(subject, leaving, rng);
        }
        followed.blocks = block;
        if (height.is_multiple_of(CHECKED_EVERY) || block == blocks) && !away {
            followed.checks.push(subject.check(chains.tip(height), mined, log, allocated).await?);
        }
    }
    let log = log.lock();
    followed.steps = log.steps;
    followed.failed_steps = log.failed_steps;
    followed.rolled_back.clone_from(&log.rolled_back);
    followed.requests = log.requests;
    Ok(followed)
}

/// One peer goes or comes back.
fn churn(subject: &Subject, leaving: &[std::net::SocketAddr], rng: &mut Rng) {
    let Some(&address) = rng.choice(leaving) else { return };
    if rng.bool() {
        subject.network.take_down(address);
    } else {
        subject.network.bring_up(address);
    }
}
