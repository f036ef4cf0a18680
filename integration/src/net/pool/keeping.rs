use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use fastrand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Pool, PoolEvent};
use crate::net::absence::Absence;
use crate::net::disconnect_reason::DisconnectReason;

impl Pool {
    /// Keeps a connection to a fixed address, reconnecting with backoff.
    pub(super) async fn keep(self: Arc<Self>, address: SocketAddr, events: mpsc::Sender<PoolEvent>) {
        let mut absence = Absence::new(self.config.reconnect_base, self.config.reconnect_cap);
        let mut rng = rng_for(self.config.seed, &address);
        let stopping = self.stopping.clone();
        let keep = async {
            loop {
                let end = self.connect(address, &events).await;
                let now = Instant::now();
                match &end {
                    Ok(reason) if reason.is_abuse() => absence.is_deserved(),
                    Ok(_) => absence.begins(now),
                    Err(_) => absence.goes_on(),
                }
                // Nothing is wrong with a node whose connection is renewed.
                let is_renewed = matches!(end, Ok(DisconnectReason::Renewed));
                let retry_at = if is_renewed { now } else { now + absence.wait(now, &mut rng) };
                self.ended(address, end, Some(retry_at), &events).await;
                if !is_renewed {
                    tokio::time::sleep_until(retry_at).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = keep => {}
        }
        self.let_go(&address);
    }
}

/// What the waits for a node, or for its name, are drawn from. Of the whole address: most nodes have the same port, and when several go
/// away together, they are not to be tried together.
pub(super) fn rng_for(seed: u64, address: &impl Hash) -> Rng {
    // Its keys are fixed.
    let mut hasher = DefaultHasher::new();
    (seed, address).hash(&mut hasher);
    Rng::with_seed(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use parking_lot::Mutex;
    use spv_scheduler::TokenBuckets;

    use super::*;
    use crate::config::Settings;
    use crate::net::connection::tests::node::Node;
    use crate::net::connector::Connector;
    use crate::net::pool::PoolConfig;
    use crate::resolver::Resolver;

    /// The first waits before a node is tried again.
    fn waits(seed: u64, address: &str) -> [Duration; 4] {
        let mut absence = Absence::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut rng = rng_for(seed, &address.parse::<SocketAddr>().unwrap());
        std::array::from_fn(|_| {
            absence.goes_on();
            absence.wait(Instant::now(), &mut rng)
        })
    }

    #[test]
    fn hosts_with_the_same_port_are_not_tried_at_the_same_times() {
        let waits_of_first = waits(1, "1.2.3.4:9999");
        for other in ["1.2.3.5:9999", "4.3.2.1:9999", "[2001:db8::1]:9999", "1.2.3.4:19999"] {
            let waits = waits(1, other);
            assert!(
                waits.iter().zip(waits_of_first).all(|(wait, first)| *wait != first),
                "{other}: {waits:?}"
            );
        }
        assert_eq!(waits(1, "1.2.3.4:9999"), waits_of_first, "equal seeds and addresses");
        assert_ne!(waits(2, "1.2.3.4:9999"), waits_of_first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_says_when_the_next_attempt_follows() {
        let settings = Settings::default();
        let (attempted, mut attempts) = mpsc::unbounded_channel();
        let connector = Connector::new(move |_| {
            attempted.send(Instant::now()).ok();
            async { Err::<tokio::io::DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) }
        });
        let config = PoolConfig {
            setup: Node::setup(connector),
            reconnect_base: settings.reconnect_base,
            reconnect_cap: settings.reconnect_cap,
            seed: 1,
            rates: Mutex::new(TokenBuckets::new(&settings.peer_rate).unwrap()),
            resolver: Resolver::none(),
            discovery: None,
        };
        let (pool, mut events) = Pool::start(&["1.2.3.4:9999".parse().unwrap()], Vec::new(), config);
        let mut expected = attempts.recv().await;
        for _ in 0..5 {
            let Some(PoolEvent::Failed { retry_at, .. }) = events.recv().await else {
                panic!("it is refused")
            };
            assert!(retry_at > expected);
            let attempt = attempts.recv().await;
            // The timer counts in whole milliseconds.
            let late = attempt.unwrap() - retry_at.unwrap();
            assert!(attempt >= retry_at && late <= Duration::from_millis(1), "{late:?}");
            expected = retry_at;
        }
        pool.stop().await;
    }
}
