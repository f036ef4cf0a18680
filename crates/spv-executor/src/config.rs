use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The bounds of an [`Executor`](crate::Executor).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Requests in flight to all peers together. Default 24; at least 1.
    ///
    /// Raising it helps only up to the sum of the peers' depths, and costs the memory of as many responses.
    pub max_in_flight: NonZeroUsize,
    /// How many requests may wait for a slot. Default 1024; 0 means that nothing waits.
    ///
    /// When it is reached, [`execute`](crate::Executor::execute) ends at once with
    /// [`QueueFull`](crate::ExecuteError::QueueFull) unless its request can start right away.
    /// [`run`](crate::Executor::run) and [`stream`](crate::Executor::stream) are not refused: each keeps its backlog
    /// to itself and has at most `max_in_flight` requests in the queue.
    pub max_waiting: usize,
    /// From sending a request until its caller is freed with [`SoftTimeout`](crate::ExecuteError::SoftTimeout).
    /// Default 10 s; above zero.
    ///
    /// Lower, and slow peers are given up sooner, but more answers come late.
    #[serde(with = "humantime_serde")]
    pub soft_timeout: Duration,
    /// From sending a request until the transport future is dropped and the peer's slot is free again.
    /// Default 120 s; at least `soft_timeout`. When equal to it, there are no late answers.
    ///
    /// Lower, and a peer that is merely slow gets further requests on top of those it still works on.
    #[serde(with = "humantime_serde")]
    pub hard_timeout: Duration,
}

impl Config {
    pub(crate) fn validated(self) -> Result<Self, ConfigError> {
        if self.soft_timeout.is_zero() {
            return Err(ConfigError { field: "soft_timeout", reason: "must be above zero" });
        }
        if self.hard_timeout < self.soft_timeout {
            return Err(ConfigError { field: "hard_timeout", reason: "must not be below soft_timeout" });
        }
        Ok(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            max_waiting: DEFAULT_MAX_WAITING,
            soft_timeout: DEFAULT_SOFT_TIMEOUT,
            hard_timeout: DEFAULT_HARD_TIMEOUT,
        }
    }
}

/// A field of [`Config`] is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What it violates.
    pub reason: &'static str,
}

/// Eight peers at full depth, the connections a light client typically keeps.
const DEFAULT_MAX_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(24).expect("24 is not zero");
/// Deep enough that a caller who submits in bursts is not refused, small enough to scan at every change.
const DEFAULT_MAX_WAITING: usize = 1024;
/// Well above the round trip and service time of a healthy peer on a slow link.
const DEFAULT_SOFT_TIMEOUT: Duration = Duration::from_secs(10);
/// Past this a peer that still answers is the exception, and keeping its slot costs more than it saves.
const DEFAULT_HARD_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_checked_and_named() {
        let second = Duration::from_secs(1);
        let cases = [
            (Config::default(), None),
            (Config { soft_timeout: second, hard_timeout: second, ..Config::default() }, None),
            (Config { max_waiting: 0, ..Config::default() }, None),
            (Config { soft_timeout: Duration::ZERO, ..Config::default() }, Some("soft_timeout")),
            (Config { hard_timeout: second, ..Config::default() }, Some("hard_timeout")),
        ];
        for (config, expected) in cases {
            let field = config.clone().validated().err().map(|error| error.field);
            assert_eq!(field, expected, "{config:?}");
        }
    }

    #[test]
    fn durations_are_text_and_unknown_fields_are_errors() {
        let config: Config =
            serde_json::from_str(r#"{"soft_timeout":"2s 500ms","max_in_flight":3}"#).unwrap();
        assert_eq!(config.soft_timeout, Duration::from_millis(2500));
        assert_eq!(config.max_in_flight.get(), 3);
        assert_eq!(config.hard_timeout, Config::default().hard_timeout);

        assert!(serde_json::from_str::<Config>(r#"{"timeout":"2s"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"max_in_flight":0}"#).is_err());

        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }
}
