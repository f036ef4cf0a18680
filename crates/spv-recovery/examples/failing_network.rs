//! Two hundred pieces of work on five peers: two good, one slow, one refusing, one lying; and for ten seconds nothing
//! gets through at all. Simulated time.
//!
//! `cargo run -p spv-recovery --example failing_network`

use std::{
    collections::BTreeMap,
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use spv_recovery::{Action, Attempt, BreakerState, Config, FailureKind, History, Recovery, Rng};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "the start of simulated time")]
    let mut now = Instant::now();
    let outage = now + Duration::from_secs(3)..now + Duration::from_secs(13);
    let peers = ["good", "fair", "slow", "refuser", "liar"];
    let mut recovery = Recovery::new(Config::default(), 7)?;
    let mut luck = Rng::with_seed(7);
    let mut decisions: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut done, mut given_up) = (0, 0);

    for _ in 0..200 {
        let mut history = History::new();
        let mut avoid = Vec::new();
        loop {
            now += Duration::from_millis(50);
            if !recovery.may_send(now) {
                let outlook = recovery.outlook(&peers, now);
                now += outlook.wait(now).ok_or("these peers come back")?;
                continue;
            }
            let blocked = recovery.blocked(now);
            let candidates: Vec<_> =
                peers.into_iter().filter(|peer| !avoid.contains(peer) && !blocked.contains(peer)).collect();
            let peer = luck.choice(candidates);
            let outcome = match peer {
                Some(_) if outage.contains(&now) => Err(FailureKind::Timeout),
                Some("refuser") => Err(FailureKind::Refused),
                Some("liar") => Err(FailureKind::Invalid),
                Some("slow") if luck.u8(0..10) < 8 => Err(FailureKind::Timeout),
                Some("fair") if luck.u8(0..10) < 3 => Err(FailureKind::Disconnected),
                Some(peer) => Ok(peer),
                None => Err(FailureKind::NoPeer),
            };
            match outcome {
                Ok(peer) => {
                    recovery.on_success(&peer, now);
                    done += 1;
                    break;
                }
                Err(kind) => {
                    if let (FailureKind::Refused, Some(peer)) = (kind, &peer) {
                        recovery.on_refusal(peer);
                    }
                    history.record(Attempt::new(peer, &kind, now));
                }
            }
            let decision = recovery.on_failure(&history, &peers, now);
            *decisions.entry(decision.strategy).or_default() += 1;
            match decision.action {
                Action::Retry { after, avoid: peers, .. } => {
                    now += after;
                    avoid = peers;
                }
                Action::Alternative | Action::GiveUp { .. } => {
                    given_up += 1;
                    break;
                }
            }
        }
    }

    let mut out = std::io::stdout();
    writeln!(out, "{done} done, {given_up} given up")?;
    for (strategy, count) in decisions {
        writeln!(out, "{count:>4} x {strategy}")?;
    }
    for peer in peers {
        let breaker = match recovery.breaker(&peer, now) {
            BreakerState::Closed => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen => "half open",
        };
        writeln!(out, "breaker of {peer}: {breaker}")?;
    }
    Ok(())
}
