use std::time::Duration;

/// Limits of the correlation on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Maximum number of requests whose fence has not returned, whether or not a caller still waits for them. Default
    /// 16, range 1 to 4096.
    ///
    /// When all places are taken, [`register`](crate::PendingTable::register) refuses. Raise it only with the
    /// number of requests in flight; a peer that fills it does not read its input.
    pub max_pending: usize,
    /// Number of ended requests that are remembered, so that late and repeated answers can be distinguished from
    /// unsolicited ones. Default 64, range 1 to 65536. Costs one request each.
    pub max_history: usize,
    /// Hard limit on the wait for an answer or a fence. Default 2 minutes, range 1 ms to 1 day.
    ///
    /// Meant to be far above the soft timeouts at which a request is tried elsewhere: until it passes, a
    /// slow peer's answer is still delivered.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub expire_after: Duration,
    /// Whether each request is written with its fence. Default true.
    ///
    /// Without, the pings need not be written, and every peer counts as unfenced from the start: content alone decides, one
    /// request per key is in flight, and nothing but time tells that a request was refused or swallowed. Saves a ping
    /// and a pong per request.
    pub fences: bool,
    /// Whether a response whose content fits several outstanding requests is held until the next fence shows which of
    /// them it answers. Default false.
    ///
    /// Turn it on where answers do not name their request. Otherwise such a response is given to the oldest request that
    /// it fits, which is another's if the peer swallowed the oldest together with its ping. Costs the time between an
    /// answer and the pong behind it. A peer that repeats an answer *behind* its fence is not caught by this: only content
    /// can tell a repetition from the answer to the next request.
    pub hold_ambiguous: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_pending: 16,
            max_history: 64,
            expire_after: Duration::from_secs(120),
            fences: true,
            hold_ambiguous: false,
        }
    }
}

impl Config {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ensure((1..=4096).contains(&self.max_pending), "max_pending", "must be 1 to 4096")?;
        ensure((1..=65_536).contains(&self.max_history), "max_history", "must be 1 to 65536")?;
        let day = Duration::from_secs(24 * 60 * 60);
        ensure(
            (Duration::from_millis(1)..=day).contains(&self.expire_after),
            "expire_after",
            "must be 1 ms to 1 day",
        )
    }
}

/// A configuration value out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The common shape of every range check.
const fn ensure(ok: bool, field: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError { field, reason }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_toml() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("expire_after = \"2m\""), "{text}");
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn each_field_out_of_range_is_named() {
        let base = Config::default;
        for (config, field) in [
            (Config { max_pending: 0, ..base() }, "max_pending"),
            (Config { max_pending: 4097, ..base() }, "max_pending"),
            (Config { max_history: 0, ..base() }, "max_history"),
            (Config { expire_after: Duration::ZERO, ..base() }, "expire_after"),
            (Config { expire_after: Duration::MAX, ..base() }, "expire_after"),
        ] {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(toml::from_str::<Config>("max_pendin = 3").is_err());
    }
}
