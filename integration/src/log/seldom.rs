use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines of one kind that are written in [`PERIOD`].
const AT_MOST: u32 = 5;

/// After this long a kind begins anew.
const PERIOD: Duration = Duration::from_secs(60);

/// Keeps whoever causes many events from filling the log with them: of each kind a few are let through a minute. The next
/// line after that says how many were left out.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
}

#[derive(Debug)]
struct Kind {
    since: Instant,
    written: u32,
    left_out: u64,
}

/// A line may be written, and so many of its kind were not since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// For the field of that name; nothing where none was left out.
    pub(crate) left_out: Option<u64>,
}

impl Seldom {
    /// Whether one more event of this kind may be logged now.
    pub(crate) fn allows(&self, kind: &'static str) -> Option<Allowed> {
        let now = Instant::now();
        let mut kinds = self.kinds.lock();
        let kind = kinds.entry(kind).or_insert(Kind { since: now, written: 0, left_out: 0 });
        if now.duration_since(kind.since) >= PERIOD {
            (kind.since, kind.written) = (now, 0);
        }
        if kind.written == AT_MOST {
            kind.left_out += 1;
            return None;
        }
        kind.written += 1;
        let left_out = std::mem::take(&mut kind.left_out);
        Some(Allowed { left_out: (left_out > 0).then_some(left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_of_each_kind_are_allowed_a_minute_and_the_others_counted() {
        let seldom = Seldom::default();
        let left_out = |kind| seldom.allows(kind).map(|allowed| allowed.left_out);
        for _ in 0..AT_MOST {
            assert_eq!(left_out("wrong answer"), Some(None));
        }
        for _ in 0..7 {
            assert_eq!(left_out("wrong answer"), None);
        }
        assert_eq!(left_out("banned"), Some(None), "another kind is not held up");
        tokio::time::advance(PERIOD).await;
        assert_eq!(left_out("wrong answer"), Some(Some(7)));
        assert_eq!(left_out("wrong answer"), Some(None));
    }
}
