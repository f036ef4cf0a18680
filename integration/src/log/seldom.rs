use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines of one kind that are written in [`PERIOD`].
const AT_MOST: u32 = 5;

/// After this long a kind begins anew.
const PERIOD: Duration = Duration::from_secs(60);

/// The same about the same peer is written again after this long.
const AGAIN: Duration = Duration::from_secs(3_600);

/// Peers and kinds that are remembered for that; any number of peers may come and go.
const REMEMBERED: usize = 256;

/// Keeps whoever causes many events from filling the log with them: of each kind a few are let through a minute, and one an
/// hour about the same peer. The next line after that says how many were left out.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kinds: BTreeMap<&'static str, Kind>,
    peers: BTreeMap<(&'static str, SocketAddr), AboutPeer>,
}

#[derive(Debug)]
struct Kind {
    since: Instant,
    written: u32,
    left_out: u64,
}

#[derive(Debug)]
struct AboutPeer {
    written: Instant,
    left_out: u64,
}

/// Permission to write a line, with the number of lines of its kind that were left out since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// For the field of that name; nothing where none was left out.
    pub(crate) left_out: Option<u64>,
}

impl Seldom {
    /// Whether one more event of this kind about this peer may be logged now.
    pub(crate) fn allows(&self, kind: &'static str, peer: SocketAddr) -> Option<Allowed> {
        let (now, state) = (Instant::now(), &mut *self.state.lock());
        if let Some(about) = state.peers.get_mut(&(kind, peer))
            && now.duration_since(about.written) < AGAIN
        {
            about.left_out += 1;
            return None;
        }
        let of_kind = state.kinds.entry(kind).or_insert(Kind { since: now, written: 0, left_out: 0 });
        if now.duration_since(of_kind.since) >= PERIOD {
            (of_kind.since, of_kind.written) = (now, 0);
        }
        if of_kind.written == AT_MOST {
            of_kind.left_out += 1;
            return None;
        }
        of_kind.written += 1;
        let before = state.peers.insert((kind, peer), AboutPeer { written: now, left_out: 0 });
        let left_out = std::mem::take(&mut of_kind.left_out) + before.map_or(0, |about| about.left_out);
        if state.peers.len() > REMEMBERED
            && let Some(oldest) =
                state.peers.iter().min_by_key(|(_, about)| about.written).map(|(key, _)| *key)
        {
            state.peers.remove(&oldest);
        }
        Some(Allowed { left_out: (left_out > 0).then_some(left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(number), 9999).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_of_each_kind_are_allowed_a_minute_and_the_others_counted() {
        let seldom = Seldom::default();
        let left_out = |kind, number| seldom.allows(kind, peer(number)).map(|allowed| allowed.left_out);
        for number in 0..AT_MOST {
            assert_eq!(left_out("wrong answer", number), Some(None));
        }
        for number in 10..17 {
            assert_eq!(left_out("wrong answer", number), None);
        }
        assert_eq!(left_out("banned", 1), Some(None), "another kind is not held up");
        tokio::time::advance(PERIOD).await;
        assert_eq!(left_out("wrong answer", 20), Some(Some(7)));
        assert_eq!(left_out("wrong answer", 21), Some(None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_about_a_peer_is_allowed_once_an_hour() {
        let seldom = Seldom::default();
        let left_out = |number| seldom.allows("banned", peer(number)).map(|allowed| allowed.left_out);
        assert_eq!(left_out(1), Some(None));
        for _ in 0..9 {
            tokio::time::advance(PERIOD).await;
            assert_eq!(left_out(1), None);
        }
        assert_eq!(left_out(2), Some(None), "another peer");
        tokio::time::advance(AGAIN).await;
        assert_eq!(left_out(1), Some(Some(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_peers_are_remembered() {
        let seldom = Seldom::default();
        for number in 0..1_000 {
            assert!(seldom.allows("banned", peer(number)).is_some());
            tokio::time::advance(PERIOD).await;
        }
        assert_eq!(seldom.state.lock().peers.len(), REMEMBERED);
    }
}
