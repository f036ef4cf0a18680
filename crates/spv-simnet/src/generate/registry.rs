mod entries;
mod forking;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dashcore::hash_types::{ConfirmedHash, MerkleRootMasternodeList, PubkeyHash};
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::address::ServiceAddress;
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BlockHash, ProTxHash};

use super::forks::Forks;
use super::keys::{self, KeyRing};
use super::profile::{FIRST_SESSION, QuorumProfile};
use super::random;
use super::spec::GeneratedSpec;
use crate::history::MasternodeHistory;
use entries::{
    BASIC_BLS, CORE_PORT, EXTENDED, LEGACY_BLS, clear_service, evo_node, extended_address, replace_operator,
    revoke,
};

/// The masternodes of a made-up chain: they register early, then some come, go and change.
#[derive(Debug)]
pub(super) struct Registry {
    profile: QuorumProfile,
    /// Blocks before anything happens.
    quiet: u32,
    entries: BTreeMap<ProTxHash, Leaf>,
    /// Heights at which the first masternodes register.
    first_registrations: BTreeMap<u32, u32>,
    /// Masternodes to be confirmed, by height.
    unconfirmed: BTreeMap<u32, Vec<ProTxHash>>,
    /// Heights to come at which something changes, with how much.
    changes: BTreeMap<u32, u32>,
    /// Masternodes that trouble finds again and again.
    restless: Vec<ProTxHash>,
    registered: u32,
    /// Fewest masternodes that stay enabled.
    min_enabled: usize,
    forks: Forks,
    /// Every EvoNode that ever was.
    evo_nodes: BTreeSet<ProTxHash>,
    history: MasternodeHistory,
    root: MerkleRootMasternodeList,
}

#[derive(Debug, Clone)]
struct Leaf {
    entry: Arc<MasternodeListEntry>,
    hash: [u8; 32],
    /// The entry of a revoked EvoNode does not say so.
    is_evo: bool,
}

/// What changes draw on.
pub(super) struct Sources<'a> {
    pub(super) keys: &'a mut KeyRing,
    pub(super) rng: &'a mut fastrand::Rng,
}

impl Registry {
    pub(super) fn new(spec: &GeneratedSpec, rng: &mut fastrand::Rng) -> Self {
        let (masternodes, profile, quiet) = (spec.masternodes, spec.profile(), spec.quiet_blocks());
        let mut first_registrations = BTreeMap::new();
        for _ in 0..masternodes {
            let height = quiet + rng.u32(FIRST_REGISTRATION..LAST_REGISTRATION);
            *first_registrations.entry(height).or_default() += 1;
        }
        let min_enabled = match profile {
            QuorumProfile::Mainnet => masternodes as usize * 2 / 3,
            _ => FEWEST_ENABLED.max(masternodes as usize * 4 / 5),
        };
        Self {
            profile,
            quiet,
            entries: BTreeMap::new(),
            first_registrations,
            unconfirmed: BTreeMap::new(),
            changes: BTreeMap::new(),
            restless: Vec::new(),
            registered: 0,
            min_enabled,
            forks: spec.forks,
            evo_nodes: BTreeSet::new(),
            history: MasternodeHistory::default(),
            root: MerkleRootMasternodeList::all_zeros(),
        }
    }

    /// Applies the block at `height`; `hashes` are those of the blocks below.
    pub(super) fn advance(&mut self, height: u32, hashes: &[BlockHash], sources: &mut Sources<'_>) {
        let confirmed = self.unconfirmed.remove(&height).unwrap_or_default();
        let joining = self.first_registrations.remove(&height).unwrap_or(0);
        if height > self.quiet + FIRST_SESSION && self.changes.is_empty() {
            self.plan_changes(height, sources.rng);
        }
        let changes = self.changes.remove(&height).unwrap_or(0);
        let settling = self.profile == QuorumProfile::Mainnet && height == self.quiet + LAST_REGISTRATION;
        let forking = [self.forks.v24, self.forks.legacy_evo].contains(&Some(height));
        if confirmed.is_empty() && joining == 0 && changes == 0 && !settling && !forking {
            return;
        }
        let confirming = ConfirmedHash::from_byte_array(hashes[hashes.len() - 1].to_byte_array());
        for hash in confirmed {
            self.update(height, hash, |entry| entry.confirmed_hash = Some(confirming));
        }
        for _ in 0..joining {
            self.register(height, sources);
        }
        if settling {
            self.ban_as_many_as_on_mainnet(height, sources.rng);
        }
        self.fork(height);
        for _ in 0..changes {
            match self.profile {
                QuorumProfile::Mainnet => self.change_little(height, sources),
                _ => self.change(height, sources),
            }
        }
        let leaves = self.entries.values().map(|leaf| leaf.hash).collect();
        let root = merkle_root(leaves).expect("entries name different masternodes");
        self.root = MerkleRootMasternodeList::from_byte_array(root);
    }

    /// The list after a block that has been applied.
    pub(super) fn list(&self, height: u32) -> Vec<Arc<MasternodeListEntry>> {
        self.history.at(height)
    }

    pub(super) fn root(&self) -> MerkleRootMasternodeList {
        self.root
    }

    pub(super) fn into_history(self) -> MasternodeHistory {
        self.history
    }

    fn plan_changes(&mut self, height: u32, rng: &mut fastrand::Rng) {
        match self.profile {
            QuorumProfile::Mainnet => {
                self.changes.insert(height + rng.u32(..2 * BLOCKS_PER_CHANGE), 1);
            }
            // A few blocks of the coming cycle share its changes, so that most blocks have the list of their parent.
            _ => {
                let masternodes = u32::try_from(self.entries.len()).expect("at most thousands");
                for _ in 0..CHANGING_BLOCKS {
                    let changes = rng.u32(1..=1 + masternodes / 100);
                    *self.changes.entry(height + rng.u32(..SMALL_CYCLE)).or_default() += changes;
                }
            }
        }
    }

    fn change(&mut self, height: u32, sources: &mut Sources<'_>) {
        let enabled = self.entries.values().filter(|leaf| leaf.entry.is_valid).count();
        let may_disable = enabled > self.min_enabled;
        match sources.rng.u8(..100) {
            0..25 if may_disable => {
                self.update_random(height, true, sources, |entry, _| entry.is_valid = false)
            }
            25..45 if may_disable => self.update_random(height, true, sources, replace_operator),
            45..50 if may_disable => self.update_random(height, true, sources, |entry, _| revoke(entry)),
            50..70 => self.update_random(height, true, sources, |entry, sources| {
                entry.key_id_voting = PubkeyHash::from_byte_array(random::hash(sources.rng));
            }),
            70..80 => {
                self.register(height, sources);
                if may_disable {
                    self.remove_random(height, sources.rng);
                }
            }
            _ => {
                if let Some(name) = self.choose(false, sources.rng) {
                    self.revive(height, name, sources);
                }
            }
        }
    }

    /// As mainnet's diffs over 12,000 blocks show it: one change in 35 blocks, of which one in eight is a masternode that
    /// leaves with another one in its place, one in twelve a new operator, and the others are about the same few
    /// masternodes, banned and revived.
    fn change_little(&mut self, height: u32, sources: &mut Sources<'_>) {
        let enabled = self.entries.values().filter(|leaf| leaf.entry.is_valid).count();
        match sources.rng.u8(..24) {
            0..3 => {
                self.register(height, sources);
                self.remove_random(height, sources.rng);
            }
            3 if enabled > self.min_enabled => self.update_random(height, true, sources, replace_operator),
            4 if enabled > self.min_enabled => {
                self.update_random(height, true, sources, |entry, _| revoke(entry));
            }
            _ => {
                if self.restless.is_empty() {
                    let names: Vec<ProTxHash> = self.entries.keys().copied().collect();
                    self.restless = sources.rng.choose_multiple(names, RESTLESS);
                }
                let name = sources.rng.choice(&self.restless).copied();
                match name.and_then(|name| self.entries.get(&name)) {
                    Some(leaf) if leaf.entry.is_valid => {
                        let name = leaf.entry.pro_reg_tx_hash;
                        self.update(height, name, |entry| entry.is_valid = false);
                    }
                    Some(leaf) => self.revive(height, leaf.entry.pro_reg_tx_hash, sources),
                    None => {}
                }
            }
        }
    }

    /// One in eight has never announced an address, one in six is banned; of EvoNodes hardly any.
    fn ban_as_many_as_on_mainnet(&mut self, height: u32, rng: &mut fastrand::Rng) {
        let nodes: Vec<(ProTxHash, bool)> =
            self.entries.iter().map(|(name, leaf)| (*name, leaf.is_evo)).collect();
        for (name, is_evo) in nodes {
            match (rng.u8(..100), is_evo) {
                (0..12, false) => self.update(height, name, clear_service),
                (12..29, false) | (0..3, true) => {
                    self.update(height, name, |entry| entry.is_valid = false);
                }
                _ => {}
            }
        }
    }

    fn register(&mut self, height: u32, Sources { keys, rng }: &mut Sources<'_>) {
        let is_extended = self.is_extended(height);
        let version = if is_extended { EXTENDED } else { BASIC_BLS };
        let service_address = self.next_address(is_extended);
        let one_in = match self.profile {
            QuorumProfile::Mainnet => 10,
            _ => 3,
        };
        let is_evo = self.registered % one_in == 2;
        let entry = MasternodeListEntry {
            version,
            pro_reg_tx_hash: ProTxHash::from_byte_array(random::hash(rng)),
            confirmed_hash: None,
            service_address,
            operator_public_key: keys.make(rng),
            key_id_voting: PubkeyHash::from_byte_array(random::hash(rng)),
            is_valid: true,
            mn_type: if is_evo { evo_node(rng, is_extended) } else { EntryMasternodeType::Regular },
        };
        self.unconfirmed.entry(height + CONFIRMED_AFTER).or_default().push(entry.pro_reg_tx_hash);
        self.put(height, entry, is_evo);
    }

    fn revive(&mut self, height: u32, name: ProTxHash, Sources { keys: ring, rng }: &mut Sources<'_>) {
        let is_extended = self.is_extended(height);
        let address = self.next_address(is_extended);
        let is_evo = self.entries.get(&name).is_some_and(|leaf| leaf.is_evo);
        self.update(height, name, |entry| {
            if entry.version == LEGACY_BLS && !entry.operator_public_key.is_zeroed() {
                entry.operator_public_key = keys::to_basic(&entry.operator_public_key);
            }
            entry.version = if is_extended { EXTENDED } else { BASIC_BLS };
            entry.is_valid = true;
            entry.service_address = address;
            if entry.operator_public_key.is_zeroed() {
                entry.operator_public_key = ring.make(rng);
            }
            if is_evo {
                entry.mn_type = evo_node(rng, is_extended);
            }
        });
    }

    /// Whether this is an EvoNode, whatever its entry says.
    pub(super) fn is_evo(&self, name: &ProTxHash) -> bool {
        self.evo_nodes.contains(name)
    }

    fn next_address(&mut self, extended: bool) -> ServiceAddress {
        self.registered += 1;
        let [_, high, middle, low] = self.registered.to_be_bytes();
        let socket = SocketAddr::from((Ipv4Addr::new(10, high, middle, low), CORE_PORT));
        if extended { extended_address(socket, self.registered) } else { ServiceAddress::Socket(socket) }
    }

    fn put(&mut self, height: u32, entry: MasternodeListEntry, is_evo: bool) {
        let (name, hash, entry) = (entry.pro_reg_tx_hash, entry.entry_hash(), Arc::new(entry));
        self.history.set(height, name, Some(Arc::clone(&entry)));
        if is_evo {
            self.evo_nodes.insert(name);
        }
        self.entries.insert(name, Leaf { entry, hash, is_evo });
    }

    /// Changes a masternode, unless it has left.
    fn update(&mut self, height: u32, name: ProTxHash, change: impl FnOnce(&mut MasternodeListEntry)) {
        if let Some(leaf) = self.entries.get(&name) {
            let (mut entry, is_evo) = ((*leaf.entry).clone(), leaf.is_evo);
            change(&mut entry);
            self.put(height, entry, is_evo);
        }
    }

    /// Changes one of the masternodes that are enabled, or one of those that are not.
    fn update_random(
        &mut self,
        height: u32,
        enabled: bool,
        sources: &mut Sources<'_>,
        change: impl FnOnce(&mut MasternodeListEntry, &mut Sources<'_>),
    ) {
        if let Some(name) = self.choose(enabled, sources.rng) {
            self.update(height, name, |entry| change(entry, sources));
        }
    }

    fn choose(&self, enabled: bool, rng: &mut fastrand::Rng) -> Option<ProTxHash> {
        let candidates = self.entries.iter().filter(|(_, leaf)| leaf.entry.is_valid == enabled);
        rng.choice(candidates.map(|(name, _)| *name).collect::<Vec<_>>())
    }

    fn remove_random(&mut self, height: u32, rng: &mut fastrand::Rng) {
        let position = rng.usize(..self.entries.len());
        let name = *self.entries.keys().nth(position).expect("position is below the length");
        self.entries.remove(&name);
        self.history.set(height, name, None);
    }
}

const FIRST_REGISTRATION: u32 = 10;
/// Leaves every masternode time to be confirmed before the first list that quorums are chosen from.
const LAST_REGISTRATION: u32 = 90;
/// Regtest confirms a registration with the hash of the next block, in the block after that.
const CONFIRMED_AFTER: u32 = 2;
const FEWEST_ENABLED: usize = 4;
const CHANGING_BLOCKS: usize = 3;
const SMALL_CYCLE: u32 = 24;
const BLOCKS_PER_CHANGE: u32 = 35;
const RESTLESS: usize = 65;
