use std::collections::VecDeque;

/// Locks that are asked for at one time. A node announces each block's once.
const MAX_ASKED: usize = 4;

/// Names that are remembered, so that nothing is asked for twice on a connection.
const MAX_REMEMBERED: usize = 32;

/// The ChainLocks that one node was asked for. Bounded, whatever it announces.
#[derive(Debug, Default)]
pub(super) struct WantedLocks {
    /// Oldest first; whether it is still to come.
    names: VecDeque<([u8; 32], bool)>,
}

impl WantedLocks {
    /// A lock of this name is announced; whether to ask for it.
    pub(super) fn announced(&mut self, name: [u8; 32]) -> bool {
        let is_known = self.names.iter().any(|(known, _)| *known == name);
        let are_enough = self.names.iter().filter(|(_, is_awaited)| *is_awaited).count() >= MAX_ASKED;
        if is_known || are_enough {
            return false;
        }
        if self.names.len() == MAX_REMEMBERED {
            self.names.pop_front();
        }
        self.names.push_back((name, true));
        true
    }

    /// The lock of this name has come, or the node has not got it; whether it was asked for.
    pub(super) fn came(&mut self, name: &[u8; 32]) -> bool {
        let entry = self.names.iter_mut().find(|(known, is_awaited)| known == name && *is_awaited);
        entry.is_some_and(|(_, is_awaited)| std::mem::replace(is_awaited, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_for_once_and_few_at_a_time() {
        let mut wanted = WantedLocks::default();
        let asked = (0..10).filter(|&index| wanted.announced([index; 32])).count();
        assert_eq!(asked, MAX_ASKED);
        assert!(!wanted.announced([0; 32]));
        assert!(wanted.came(&[0; 32]));
        assert!(!wanted.came(&[0; 32]), "twice");
        assert!(!wanted.came(&[9; 32]), "unasked");
        assert!(!wanted.announced([0; 32]), "known");
        assert!(wanted.announced([9; 32]));
        for index in 10..=255 {
            wanted.came(&[index - 1; 32]);
            wanted.announced([index; 32]);
        }
        assert!(wanted.names.len() <= MAX_REMEMBERED);
    }
}
