//! Mirrors of a download, of which the first one fails.

use std::time::Instant;

use spv_recovery::{Action, Attempt, Config, FailureKind, History, Recovery};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mirror(u8);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mirrors = [Mirror(1), Mirror(2)];
    let mut recovery = Recovery::new(Config::default(), 1)?;
    let mut history = History::new();
    let mut mirror = mirrors[0];
    loop {
        let now = Instant::now();
        if mirror == Mirror(2) {
            recovery.on_success(&mirror, now);
            break;
        }
        history.record(Attempt::new(mirror, &FailureKind::Disconnected, now));
        match recovery.on_failure(&history, &mirrors, now).action {
            Action::Retry { avoid, .. } => {
                let other = mirrors.into_iter().find(|mirror| !avoid.contains(mirror));
                mirror = other.ok_or("nobody is left")?;
            }
            other => return Err(format!("gave up after one failure: {other:?}").into()),
        }
    }
    println!("recovery: {mirror:?} had it");
    Ok(())
}
