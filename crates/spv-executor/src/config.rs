use std::num::NonZeroUsize;
use std::time::Duration;

/// Limits and timeouts of an [`Executor`](crate::Executor).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Maximum number of requests in flight to all peers together. Default 24; at least 1.
    ///
    /// Raising it helps only up to the sum of the peers' depths, and costs the memory of as many responses.
    pub max_in_flight: NonZeroUsize,
    /// Maximum number of requests that wait for a slot. Default 1024; 0 means that nothing waits.
    ///
    /// When it is reached, [`execute`](crate::Executor::execute) and its kind end at once with
    /// [`QueueFull`](crate::ExecuteError::QueueFull) unless the request can start right away.
    /// [`run`](crate::Executor::run) and [`stream`](crate::Executor::stream) are not refused: each keeps its backlog
    /// to itself and has at most `max_in_flight` requests in the queue.
    pub max_waiting: usize,
    /// Maximum number of bytes of answers, expected by requests in flight and held by [`Permit`](crate::Permit)s
    /// together. Default 64 MiB; at least 1.
    ///
    /// Lower, and requests wait until answers have been used. A single request may exceed it, and so may the lowest
    /// of those with an order, else the rest could wait for it for ever.
    pub max_bytes: u64,
    /// Time from sending a request until its caller gets [`SoftTimeout`](crate::ExecuteError::SoftTimeout). Default 10
    /// s; above zero. Once answers of the kind were measured, see `adaptive_timeouts`.
    ///
    /// Lower, and slow peers are given up sooner, but more answers come late.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub soft_timeout: Duration,
    /// Time from sending a request until the transport future is dropped and the peer's slot is free again. Default 120
    /// s; at least `soft_timeout`, at most a day. When equal to it, there are no late answers.
    ///
    /// Lower, and a peer that is merely slow gets further requests on top of those it still works on.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub hard_timeout: Duration,
    /// Whether timeouts follow the times measured for the peer and the kind of request, or for the pool as long as
    /// the peer is new. Default true.
    ///
    /// A kind that nobody has answered yet gets `soft_timeout` and `hard_timeout`. Only a copy of such a request may be sent
    /// sooner: after twice the round trip and what other kinds take, and half the transfer of the expected bytes.
    ///
    /// The soft timeout is the usual time plus four mean deviations plus the transfer of what is expected beyond the
    /// usual size, doubled up to four times while most peers time out and nobody answers. The hard timeout keeps its
    /// ratio to the soft one.
    pub adaptive_timeouts: bool,
    /// Smallest adapted soft timeout; a smaller `soft_timeout` counts instead. Default 2 s; above zero.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub soft_timeout_floor: Duration,
    /// Largest adapted soft timeout; a larger `soft_timeout` counts instead. Default 60 s; at least the smallest.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub soft_timeout_ceiling: Duration,
    /// Smallest adapted hard timeout; `hard_timeout` is the largest, and counts instead if it is smaller. Default 60 s.
    ///
    /// High on purpose: a peer that was only stalled still works on what is dropped at the hard timeout, and gets
    /// more on top.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub hard_timeout_floor: Duration,
    /// Whether a peer gets fewer requests at a time than its limit if more would gain nothing. Default true.
    ///
    /// Decided by its round trip, see [`set_rtt`](crate::Executor::set_rtt), and the time and size of its answers;
    /// without a round trip the cap holds.
    pub adaptive_depth: bool,
    /// Whether a free peer gets no request if the others will have answered all requests before it could answer one.
    /// Default true.
    ///
    /// Decided by round trips and the times of earlier answers; see [`announce`](crate::Executor::announce) for requests
    /// that the executor does not know of yet. Until a peer has answered its first request of a kind that others have
    /// answered, it gets no second one. Off, every free slot is used, and the slowest peer may be what all wait for.
    pub spares_slow_peers: bool,
    /// Maximum number of copies of requests for which the budget is saved up. Default 10; 0 disables hedging.
    ///
    /// Every accepted answer earns a twentieth of one, and the first is lent: so at most 5 % more requests are sent, or one.
    /// See [`execute_in_order`](crate::Executor::execute_in_order).
    pub hedge_budget: u32,
    /// Time for which other peers are preferred to a peer that failed or whose answer was rejected. Default 100 ms,
    /// doubled with each failure in a row up to 64 times; 0 disables it. If many requests of all peers are lost,
    /// failures in a row that chance explains do not count, so that the peers do not all rest in turns.
    ///
    /// A peer that fails at once is free at once, and would attract all that waits.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub rest_after_failure: Duration,
}

impl Config {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.soft_timeout.is_zero() {
            return Err(ConfigError { field: "soft_timeout", reason: "must be above zero" });
        }
        if self.hard_timeout < self.soft_timeout {
            return Err(ConfigError { field: "hard_timeout", reason: "must not be below soft_timeout" });
        }
        if self.hard_timeout > MAX_HARD_TIMEOUT {
            return Err(ConfigError { field: "hard_timeout", reason: "must not be above a day" });
        }
        if self.max_bytes == 0 {
            return Err(ConfigError { field: "max_bytes", reason: "must be above zero" });
        }
        if self.soft_timeout_floor.is_zero() {
            return Err(ConfigError { field: "soft_timeout_floor", reason: "must be above zero" });
        }
        for (field, time) in [
            ("soft_timeout_ceiling", self.soft_timeout_ceiling),
            ("hard_timeout_floor", self.hard_timeout_floor),
            ("rest_after_failure", self.rest_after_failure),
        ] {
            if time > MAX_HARD_TIMEOUT {
                return Err(ConfigError { field, reason: "must not be above a day" });
            }
        }
        if self.max_in_flight.get() > MAX_IN_FLIGHT {
            return Err(ConfigError { field: "max_in_flight", reason: "must not be above 65536" });
        }
        if self.max_waiting > MAX_WAITING {
            return Err(ConfigError { field: "max_waiting", reason: "must not be above 1000000" });
        }
        if self.soft_timeout_ceiling < self.soft_timeout_floor {
            let reason = "must not be below soft_timeout_floor";
            return Err(ConfigError { field: "soft_timeout_ceiling", reason });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            max_waiting: DEFAULT_MAX_WAITING,
            max_bytes: DEFAULT_MAX_BYTES,
            soft_timeout: DEFAULT_SOFT_TIMEOUT,
            hard_timeout: DEFAULT_HARD_TIMEOUT,
            adaptive_timeouts: true,
            soft_timeout_floor: DEFAULT_SOFT_TIMEOUT_FLOOR,
            soft_timeout_ceiling: DEFAULT_SOFT_TIMEOUT_CEILING,
            hard_timeout_floor: DEFAULT_HARD_TIMEOUT_FLOOR,
            adaptive_depth: true,
            spares_slow_peers: true,
            hedge_budget: DEFAULT_HEDGE_BUDGET,
            rest_after_failure: DEFAULT_REST_AFTER_FAILURE,
        }
    }
}

/// A field of [`Config`] is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// Name of the field.
    pub field: &'static str,
    /// The rule that its value violates.
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

/// Longer is a mistake, and would overflow clocks in the end.
const MAX_HARD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const MAX_IN_FLIGHT: usize = 65_536;
const MAX_WAITING: usize = 1_000_000;
/// Well above what keeps every slot busy, well below what a small device has.
const DEFAULT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// A few lost packets on an otherwise quick way cost about this much.
const DEFAULT_SOFT_TIMEOUT_FLOOR: Duration = Duration::from_secs(2);
/// Nobody should wait longer while others could be asked.
const DEFAULT_SOFT_TIMEOUT_CEILING: Duration = Duration::from_secs(60);
/// Longer than stalls that a connection survives usually last.
const DEFAULT_HARD_TIMEOUT_FLOOR: Duration = Duration::from_secs(60);
/// Enough for a bad minute, used up by a bad hour.
const DEFAULT_HEDGE_BUDGET: u32 = 10;
/// About the time in which an honest peer would have answered.
const DEFAULT_REST_AFTER_FAILURE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_checked_and_named() {
        let second = Duration::from_secs(1);
        let cases = [
            (Config::default(), None),
            (Config { hard_timeout: Duration::MAX, ..Config::default() }, Some("hard_timeout")),
            (
                Config { soft_timeout_ceiling: Duration::MAX, ..Config::default() },
                Some("soft_timeout_ceiling"),
            ),
            (Config { hard_timeout_floor: Duration::MAX, ..Config::default() }, Some("hard_timeout_floor")),
            (Config { rest_after_failure: Duration::MAX, ..Config::default() }, Some("rest_after_failure")),
            (Config { max_waiting: usize::MAX, ..Config::default() }, Some("max_waiting")),
            (Config { max_in_flight: NonZeroUsize::MAX, ..Config::default() }, Some("max_in_flight")),
            (Config { soft_timeout: second, hard_timeout: second, ..Config::default() }, None),
            (Config { soft_timeout_floor: Duration::ZERO, ..Config::default() }, Some("soft_timeout_floor")),
            (Config { soft_timeout_ceiling: second, ..Config::default() }, Some("soft_timeout_ceiling")),
            (Config { max_bytes: 0, ..Config::default() }, Some("max_bytes")),
            (Config { max_waiting: 0, ..Config::default() }, None),
            (Config { soft_timeout: Duration::ZERO, ..Config::default() }, Some("soft_timeout")),
            (Config { hard_timeout: second, ..Config::default() }, Some("hard_timeout")),
        ];
        for (config, expected) in cases {
            let field = config.validate().err().map(|error| error.field);
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
