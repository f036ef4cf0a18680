//! What systemd is told, where it runs this process as a service with `Type=notify`; nothing elsewhere.

use sd_notify::NotifyState;

/// The service is up.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The service is ending.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The service is alive, and this is what it does.
pub(crate) fn alive(status: &str) {
    notify(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be notified");
    }
}
