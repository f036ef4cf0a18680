use dashcore::ProTxHash;
use dashcore::sml::masternode_list_entry::EntryMasternodeType;

use super::Registry;
use super::entries::{EXTENDED, LEGACY_BLS};
use crate::generate::forks::is_active;
use crate::generate::keys;

/// What happens to masternodes when rules change.
impl Registry {
    pub(super) fn fork(&mut self, height: u32) {
        if self.forks.v24 == Some(height) {
            self.extend_addresses(height);
        }
        if self.forks.legacy_evo == Some(height) {
            self.hide_evo_nodes(height);
        }
    }

    pub(super) fn is_extended(&self, height: u32) -> bool {
        is_active(self.forks.v24, height)
    }

    /// One in three of those that are enabled says anew where it is.
    fn extend_addresses(&mut self, height: u32) {
        let enabled = self.entries.iter().filter(|(_, leaf)| leaf.entry.is_valid);
        let names: Vec<ProTxHash> = enabled.map(|(name, _)| *name).step_by(3).collect();
        for name in names {
            let address = self.next_address(true);
            self.update(height, name, |entry| {
                (entry.version, entry.service_address) = (EXTENDED, address);
                if let EntryMasternodeType::HighPerformance { platform_http_port, .. } = &mut entry.mn_type {
                    *platform_http_port = None;
                }
            });
        }
    }

    /// Every second EvoNode goes back to a key of the legacy scheme, and with it to an entry that shows no type (Dash Core's
    /// `protx update_registrar_legacy`, and an update of its service).
    fn hide_evo_nodes(&mut self, height: u32) {
        let evo_nodes = self.entries.iter().filter(|(_, leaf)| leaf.entry.is_valid && leaf.is_evo);
        let names: Vec<ProTxHash> = evo_nodes.map(|(name, _)| *name).step_by(2).collect();
        for name in names {
            let address = self.next_address(false);
            self.update(height, name, |entry| {
                (entry.version, entry.service_address) = (LEGACY_BLS, address);
                entry.operator_public_key = keys::to_legacy(&entry.operator_public_key);
                entry.mn_type = EntryMasternodeType::Regular;
            });
        }
    }
}
