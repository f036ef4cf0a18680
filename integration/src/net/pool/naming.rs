use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::keeping::rng_for;
use super::{Pool, PoolEvent};
use crate::config::PeerName;
use crate::log::Listed;
use crate::net::absence::Absence;

impl Pool {
    /// Looks up the name of a fixed node until it is known, and then keeps connections to its addresses. It has been looked
    /// up once, in vain; the waits are those before a node is tried again that was never there.
    pub(super) async fn resolve(self: Arc<Self>, name: PeerName, events: mpsc::Sender<PoolEvent>) {
        let resolved = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return,
            resolved = self.look_up(&name, &events) => resolved,
        };
        let addresses: Vec<SocketAddr> = {
            let mut kept = self.kept.lock();
            resolved.into_iter().filter(|&address| kept.insert(address)).collect()
        };
        // Before it is told, so that there is never a time at which nobody is expected.
        let free: Vec<bool> = addresses.iter().map(|&address| self.takes_over(address)).collect();
        events.send(PoolEvent::Resolved { name, addresses: addresses.clone() }).await.ok();
        for (address, is_free) in addresses.into_iter().zip(free) {
            self.spawn(self.clone().keep_new(address, is_free, events.clone()), &events);
        }
    }

    /// Whether discovery leaves an address alone that has become a fixed one, which it does unless it is connected to it.
    fn takes_over(&self, address: SocketAddr) -> bool {
        self.discovery.as_ref().is_none_or(|discovery| discovery.leave_to_others(address))
    }

    async fn look_up(&self, name: &PeerName, events: &mpsc::Sender<PoolEvent>) -> Vec<SocketAddr> {
        let mut absence = Absence::new(self.config.reconnect_base, self.config.reconnect_cap);
        let mut rng = rng_for(self.config.seed, name);
        loop {
            absence.goes_on();
            tokio::time::sleep(absence.wait(Instant::now(), &mut rng)).await;
            match self.config.resolver.look_up(name, self.config.setup.config.handshake_timeout).await {
                Ok(addresses) => {
                    tracing::info!(%name, addresses = %Listed(&addresses), "the peer's name was resolved");
                    return addresses;
                }
                Err(error) => {
                    tracing::debug!(%error, "the peer's name still cannot be resolved");
                    events.send(PoolEvent::LookupFailed { name: name.clone() }).await.ok();
                }
            }
        }
    }

    /// Keeps a connection to an address that has become a fixed one, once discovery leaves it alone.
    async fn keep_new(
        self: Arc<Self>,
        address: SocketAddr,
        mut is_free: bool,
        events: mpsc::Sender<PoolEvent>,
    ) {
        let freed = async {
            while !is_free {
                tokio::time::sleep(self.config.reconnect_cap).await;
                is_free = self.takes_over(address);
            }
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => return,
            () = freed => {}
        }
        self.keep(address, events).await;
    }
}
