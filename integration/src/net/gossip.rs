use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashcore::network::message_addrv2::AddrV2Message;
use dashcore::network::message_network::{Address, TimedAddress};
use tokio::sync::mpsc;

use crate::discovery::{Candidate, Heard};

/// Addresses that are taken from one connection, which is what an answer to `getaddr` may hold.
const MAX_ADDRESSES: usize = 1_000;

/// Passes on the addresses that one node sends, as many as were asked for: none before that, and no end of those that it
/// hears of later and sends unasked.
#[derive(Debug)]
pub(super) struct Gossip {
    from: SocketAddr,
    /// `None` when nobody wants addresses.
    sender: Option<mpsc::Sender<Heard>>,
    wanted: AtomicUsize,
}

impl Gossip {
    pub(super) const fn new(from: SocketAddr, sender: Option<mpsc::Sender<Heard>>) -> Self {
        Self { from, sender, wanted: AtomicUsize::new(0) }
    }

    /// The node is being asked.
    pub(super) fn ask(&self) {
        self.wanted.store(MAX_ADDRESSES, Ordering::Relaxed);
    }

    pub(super) fn on_addr(&self, entries: &[TimedAddress]) {
        self.take(entries.iter().map(|entry| {
            let Address { services, address } = entry.address;
            Candidate { address, services, time: entry.time }
        }));
    }

    pub(super) fn on_addrv2(&self, entries: &[AddrV2Message]) {
        self.take(entries.iter().filter_map(|entry| {
            let address = entry.socket_addr()?;
            Some(Candidate { address, services: entry.services, time: entry.time })
        }));
    }

    fn take(&self, candidates: impl Iterator<Item = Candidate>) {
        let Some(sender) = &self.sender else { return };
        // Only the reading task of the connection takes.
        let wanted = self.wanted.load(Ordering::Relaxed);
        let candidates: Vec<Candidate> = candidates.take(wanted).collect();
        self.wanted.store(wanted - candidates.len(), Ordering::Relaxed);
        if !candidates.is_empty() {
            // Where so much waits to be read, there are addresses enough.
            sender.try_send(Heard { from: self.from, candidates }).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dashcore::network::message_addrv2::AddrV2;

    use super::*;

    fn entry(address: AddrV2) -> AddrV2Message {
        AddrV2Message { time: 1, services: 1, address, port: 9999 }
    }

    #[test]
    fn addresses_are_taken_when_asked_for_and_no_more_than_an_answer_holds() {
        let (sender, mut heard) = mpsc::channel(4);
        let gossip = Gossip::new(([1, 2, 3, 4], 5).into(), Some(sender));
        let entries: Vec<_> = (0..600).map(|ip| entry(AddrV2::Ipv4(Ipv4Addr::from_bits(ip)))).collect();
        gossip.on_addrv2(&entries);
        assert!(heard.try_recv().is_err(), "unasked");
        gossip.ask();
        for expected in [600, 400] {
            gossip.on_addrv2(&entries);
            assert_eq!(heard.try_recv().unwrap().candidates.len(), expected);
        }
        gossip.on_addrv2(&entries);
        assert!(heard.try_recv().is_err(), "too many");
    }

    #[test]
    fn both_forms_are_understood_and_other_networks_skipped() {
        let (sender, mut heard) = mpsc::channel(4);
        let gossip = Gossip::new(([1, 2, 3, 4], 5).into(), Some(sender));
        gossip.ask();
        let ip = Ipv4Addr::new(5, 6, 7, 8);
        gossip.on_addrv2(&[entry(AddrV2::TorV3([1; 32])), entry(AddrV2::Ipv4(ip))]);
        let address = SocketAddr::from((ip, 9999));
        gossip.on_addr(&[TimedAddress { time: 1, address: Address { services: 1, address } }]);
        let expected = [Candidate { address, services: 1, time: 1 }];
        assert_eq!(heard.try_recv().unwrap().candidates, expected);
        assert_eq!(heard.try_recv().unwrap().candidates, expected);
    }
}
