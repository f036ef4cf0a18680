use std::collections::BTreeMap;

use crate::job::Ticket;

/// Which tickets each held item will end, and which item a key stands for. An item goes by its first ticket, also
/// when that one is cancelled while others remain.
#[derive(Debug)]
pub(crate) struct Claims<K> {
    items: BTreeMap<Ticket, Claim<K>>,
    by_key: BTreeMap<K, Ticket>,
    /// The item of each ticket that is not the item's first.
    joined: BTreeMap<Ticket, Ticket>,
    tickets: usize,
}

#[derive(Debug)]
struct Claim<K> {
    key: Option<K>,
    tickets: Vec<Ticket>,
}

/// What is left of an item when one of its tickets is cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The ticket had ended before.
    Unknown,
    /// Other tickets still want the item.
    Shared,
    /// Nobody wants this item any more.
    Last(Ticket),
}

impl<K: Ord + Clone> Claims<K> {
    pub(crate) const fn new() -> Self {
        Self { items: BTreeMap::new(), by_key: BTreeMap::new(), joined: BTreeMap::new(), tickets: 0 }
    }

    /// Tickets that have not ended.
    pub(crate) const fn len(&self) -> usize {
        self.tickets
    }

    /// The held item of a key.
    pub(crate) fn find(&self, key: &K) -> Option<Ticket> {
        self.by_key.get(key).copied()
    }

    /// A new item, whose key no held item has.
    pub(crate) fn open(&mut self, item: Ticket, key: Option<K>) {
        if let Some(key) = &key {
            self.by_key.insert(key.clone(), item);
        }
        self.items.insert(item, Claim { key, tickets: vec![item] });
        self.tickets += 1;
    }

    pub(crate) fn join(&mut self, item: Ticket, ticket: Ticket) {
        if let Some(claim) = self.items.get_mut(&item) {
            claim.tickets.push(ticket);
            self.joined.insert(ticket, item);
            self.tickets += 1;
        }
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) -> Leave {
        let item = self.joined.remove(&ticket).unwrap_or(ticket);
        let Some(claim) = self.items.get_mut(&item) else { return Leave::Unknown };
        let before = claim.tickets.len();
        claim.tickets.retain(|&other| other != ticket);
        match (before - claim.tickets.len(), claim.tickets.is_empty()) {
            (0, _) => Leave::Unknown,
            (_, false) => {
                self.tickets -= 1;
                Leave::Shared
            }
            (_, true) => {
                self.tickets -= 1;
                self.end(item);
                Leave::Last(item)
            }
        }
    }

    /// Ends an item; returns its tickets, oldest first.
    pub(crate) fn end(&mut self, item: Ticket) -> Vec<Ticket> {
        let Some(claim) = self.items.remove(&item) else { return Vec::new() };
        if let Some(key) = &claim.key {
            self.by_key.remove(key);
        }
        for ticket in &claim.tickets {
            self.joined.remove(ticket);
        }
        self.tickets -= claim.tickets.len();
        claim.tickets
    }
}
