use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// How long ending in order may take after the first signal. Whatever is not stored then is asked for again by the next
/// run; the database is whole at any moment.
const DRAIN_LIMIT: Duration = Duration::from_millis(4500);

/// A token that SIGINT and SIGTERM cancel, and on a terminal SIGHUP too, which means that the terminal was closed. Another one of them
/// ends the process at once, and so does the time limit.
pub(crate) fn cancelled_by_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let mut endings = Endings {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: on_terminal().then(|| signal(SignalKind::hangup())).transpose()?,
    };
    tokio::spawn(async move {
        endings.next().await;
        cancel.cancel();
        tokio::select! {
            () = endings.next() => {}
            () = tokio::time::sleep(DRAIN_LIMIT) => tracing::warn!("the orderly shutdown took too long"),
        }
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(token)
}

/// Every SIGHUP that asks for the configuration to be read again: those of a process without a terminal. `None` where
/// there is one.
pub(crate) fn reloads() -> anyhow::Result<Option<Signal>> {
    Ok((!on_terminal()).then(|| signal(SignalKind::hangup())).transpose()?)
}

/// Whether a person started the process: services, and programs under `nohup`, have no terminal.
fn on_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// The signals that end the process.
struct Endings {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Endings {
    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}
