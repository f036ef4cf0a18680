use std::collections::VecDeque;

/// The locks of one kind that one node was asked for. Bounded, whatever it announces.
#[derive(Debug)]
pub(super) struct WantedLocks {
    /// Oldest first; whether it is still to come.
    names: VecDeque<([u8; 32], bool)>,
    awaited: usize,
    bounds: Bounds,
}

#[derive(Debug)]
struct Bounds {
    /// Locks that are asked for at one time.
    asked: usize,
    /// Names that are remembered, so that nothing is asked for twice on a connection.
    remembered: usize,
}

impl WantedLocks {
    /// For ChainLocks: a node announces each block's once.
    pub(super) const fn chain_locks() -> Self {
        Self::new(Bounds { asked: 4, remembered: 32 })
    }

    /// For InstantSend locks, of which there may be many at once.
    pub(super) const fn instant_locks() -> Self {
        Self::new(Bounds { asked: 256, remembered: 1_024 })
    }

    const fn new(bounds: Bounds) -> Self {
        Self { names: VecDeque::new(), awaited: 0, bounds }
    }

    /// A lock of this name is announced; whether to ask for it.
    pub(super) fn announced(&mut self, name: [u8; 32]) -> bool {
        if self.awaited >= self.bounds.asked || self.names.iter().any(|(known, _)| *known == name) {
            return false;
        }
        if self.names.len() == self.bounds.remembered {
            let oldest = self.names.pop_front();
            self.awaited -= usize::from(oldest.is_some_and(|(_, is_awaited)| is_awaited));
        }
        self.names.push_back((name, true));
        self.awaited += 1;
        true
    }

    /// The lock of this name has come, or the node has not got it; whether it was asked for.
    pub(super) fn came(&mut self, name: &[u8; 32]) -> bool {
        let entry = self.names.iter_mut().find(|(known, is_awaited)| known == name && *is_awaited);
        let was_awaited = entry.is_some_and(|(_, is_awaited)| std::mem::replace(is_awaited, false));
        self.awaited -= usize::from(was_awaited);
        was_awaited
    }

    /// The lock of this name could not be asked for after all.
    pub(super) fn was_not_asked(&mut self, name: &[u8; 32]) {
        if self.came(name) {
            self.names.retain(|(known, _)| known != name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_for_once_and_few_at_a_time() {
        let mut wanted = WantedLocks::chain_locks();
        let asked = (0..10).filter(|&index| wanted.announced([index; 32])).count();
        assert_eq!(asked, wanted.bounds.asked);
        assert!(!wanted.announced([0; 32]));
        assert!(wanted.came(&[0; 32]));
        assert!(!wanted.came(&[0; 32]), "twice");
        assert!(!wanted.came(&[9; 32]), "unasked");
        assert!(!wanted.announced([0; 32]), "known");
        assert!(wanted.announced([9; 32]));
        wanted.was_not_asked(&[9; 32]);
        assert!(wanted.announced([9; 32]));
        for index in 10..=255 {
            wanted.came(&[index - 1; 32]);
            wanted.announced([index; 32]);
        }
        assert!(wanted.names.len() <= wanted.bounds.remembered);
        let awaited = wanted.names.iter().filter(|(_, is_awaited)| *is_awaited).count();
        assert_eq!(wanted.awaited, awaited);
    }
}
