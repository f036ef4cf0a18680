use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// How long ending in order may take after the first signal. Whatever is not stored then is asked for again by the next
/// run; the database is whole at any moment.
const DRAIN_LIMIT: Duration = Duration::from_millis(4500);

/// A token that SIGINT and SIGTERM cancel. Another one of them ends the process at once, and so does the time limit.
pub(crate) fn cancelled_by_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        cancel.cancel();
        tokio::select! {
            () = either(&mut terminate, &mut interrupt) => {}
            () = tokio::time::sleep(DRAIN_LIMIT) => tracing::warn!("ending in order took too long"),
        }
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(token)
}

/// Every SIGHUP, which asks for the configuration to be read again.
pub(crate) fn reloads() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::hangup())?)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
