use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use dashcore::bls_sig_utils::BLSPublicKey;
use dashcore::hash_types::{ConfirmedHash, MerkleRootMasternodeList, PubkeyHash};
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::address::ServiceAddress;
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BlockHash, ProTxHash};

use super::random;
use crate::world::MasternodeList;

/// The masternodes of a made-up chain: they register early, then some come, go and change in every cycle.
#[derive(Debug)]
pub(super) struct Registry {
    entries: BTreeMap<ProTxHash, Leaf>,
    /// Heights at which the first masternodes register.
    first_registrations: BTreeMap<u32, u32>,
    /// Masternodes to be confirmed, by height.
    unconfirmed: BTreeMap<u32, Vec<ProTxHash>>,
    /// Heights in the current cycle at which something changes, with how much.
    changes: BTreeMap<u32, u32>,
    registered: u32,
    /// Fewest masternodes that stay enabled.
    min_enabled: usize,
    list: Arc<MasternodeList>,
    root: MerkleRootMasternodeList,
}

#[derive(Debug, Clone)]
struct Leaf {
    entry: Arc<MasternodeListEntry>,
    hash: [u8; 32],
}

impl Registry {
    pub(super) fn new(masternodes: u32, rng: &mut fastrand::Rng) -> Self {
        let mut first_registrations = BTreeMap::new();
        for _ in 0..masternodes {
            *first_registrations.entry(rng.u32(FIRST_REGISTRATION..LAST_REGISTRATION)).or_default() += 1;
        }
        Self {
            entries: BTreeMap::new(),
            first_registrations,
            unconfirmed: BTreeMap::new(),
            changes: BTreeMap::new(),
            registered: 0,
            min_enabled: FEWEST_ENABLED.max(masternodes as usize * 4 / 5),
            list: Arc::default(),
            root: MerkleRootMasternodeList::all_zeros(),
        }
    }

    /// Applies the block at `height`; `hashes` are those of the blocks below. With a cycle length there is churn.
    pub(super) fn advance(
        &mut self,
        height: u32,
        hashes: &[BlockHash],
        churn: Option<u32>,
        rng: &mut fastrand::Rng,
    ) {
        let confirmed = self.unconfirmed.remove(&height).unwrap_or_default();
        let joining = self.first_registrations.remove(&height).unwrap_or(0);
        if let Some(cycle_length) = churn
            && self.changes.is_empty()
        {
            self.plan_changes(height, cycle_length, rng);
        }
        let changes = self.changes.remove(&height).unwrap_or(0);
        if confirmed.is_empty() && joining == 0 && changes == 0 {
            return;
        }
        let confirming = ConfirmedHash::from_byte_array(hashes[hashes.len() - 1].to_byte_array());
        for hash in confirmed {
            self.update(hash, |entry| entry.confirmed_hash = Some(confirming));
        }
        for _ in 0..joining {
            self.register(height, rng);
        }
        for _ in 0..changes {
            self.change(height, rng);
        }
        let entries = self.entries.iter().map(|(hash, leaf)| (*hash, Arc::clone(&leaf.entry))).collect();
        self.list = Arc::new(MasternodeList::ordered(&entries));
        let leaves = self.entries.values().map(|leaf| leaf.hash).collect();
        let root = merkle_root(leaves).expect("entries name different masternodes");
        self.root = MerkleRootMasternodeList::from_byte_array(root);
    }

    pub(super) fn list(&self) -> Arc<MasternodeList> {
        Arc::clone(&self.list)
    }

    pub(super) fn root(&self) -> MerkleRootMasternodeList {
        self.root
    }

    /// A few blocks of the coming cycle share its changes, so that most blocks have the list of their parent.
    fn plan_changes(&mut self, height: u32, cycle_length: u32, rng: &mut fastrand::Rng) {
        let masternodes = u32::try_from(self.entries.len()).expect("at most thousands");
        for _ in 0..CHANGING_BLOCKS {
            let changes = rng.u32(1..=1 + masternodes / 100);
            *self.changes.entry(height + rng.u32(..cycle_length)).or_default() += changes;
        }
    }

    fn change(&mut self, height: u32, rng: &mut fastrand::Rng) {
        let enabled = self.entries.values().filter(|leaf| leaf.entry.is_valid).count();
        let may_disable = enabled > self.min_enabled;
        match rng.u8(..100) {
            0..25 if may_disable => self.update_random(rng, true, |entry, _| entry.is_valid = false),
            25..45 if may_disable => self.update_random(rng, true, replace_operator),
            45..50 if may_disable => self.update_random(rng, true, |entry, rng| {
                replace_operator(entry, rng);
                entry.operator_public_key = BLSPublicKey::default();
            }),
            50..70 => self.update_random(rng, true, |entry, rng| {
                entry.key_id_voting = PubkeyHash::from_byte_array(random::hash(rng));
            }),
            70..80 => {
                self.register(height, rng);
                if may_disable {
                    self.remove_random(rng);
                }
            }
            _ => {
                let address = self.next_address();
                self.update_random(rng, false, |entry, rng| revive(entry, address, rng));
            }
        }
    }

    fn register(&mut self, height: u32, rng: &mut fastrand::Rng) {
        let service_address = self.next_address();
        // Every third masternode is an EvoNode.
        let mn_type = if self.registered % 3 == 2 {
            EntryMasternodeType::HighPerformance {
                platform_http_port: Some(PLATFORM_HTTP_PORT),
                platform_node_id: PubkeyHash::from_byte_array(random::hash(rng)),
            }
        } else {
            EntryMasternodeType::Regular
        };
        let entry = MasternodeListEntry {
            version: BASIC_BLS,
            pro_reg_tx_hash: ProTxHash::from_byte_array(random::hash(rng)),
            confirmed_hash: None,
            service_address,
            operator_public_key: random::public_key(rng),
            key_id_voting: PubkeyHash::from_byte_array(random::hash(rng)),
            is_valid: true,
            mn_type,
        };
        self.unconfirmed.entry(height + CONFIRMED_AFTER).or_default().push(entry.pro_reg_tx_hash);
        self.put(entry);
    }

    fn next_address(&mut self) -> ServiceAddress {
        self.registered += 1;
        let [_, high, middle, low] = self.registered.to_be_bytes();
        ServiceAddress::Socket(SocketAddr::from((Ipv4Addr::new(10, high, middle, low), CORE_PORT)))
    }

    fn put(&mut self, entry: MasternodeListEntry) {
        let hash = entry.entry_hash();
        self.entries.insert(entry.pro_reg_tx_hash, Leaf { entry: Arc::new(entry), hash });
    }

    /// Changes a masternode, unless it has left.
    fn update(&mut self, hash: ProTxHash, change: impl FnOnce(&mut MasternodeListEntry)) {
        if let Some(leaf) = self.entries.get(&hash) {
            let mut entry = (*leaf.entry).clone();
            change(&mut entry);
            self.put(entry);
        }
    }

    /// Changes one of the masternodes that are enabled, or one of those that are not.
    fn update_random(
        &mut self,
        rng: &mut fastrand::Rng,
        enabled: bool,
        change: impl FnOnce(&mut MasternodeListEntry, &mut fastrand::Rng),
    ) {
        let candidates: Vec<ProTxHash> = self
            .entries
            .iter()
            .filter(|(_, leaf)| leaf.entry.is_valid == enabled)
            .map(|(hash, _)| *hash)
            .collect();
        if let Some(hash) = rng.choice(candidates) {
            self.update(hash, |entry| change(entry, rng));
        }
    }

    fn remove_random(&mut self, rng: &mut fastrand::Rng) {
        let position = rng.usize(..self.entries.len());
        let hash = *self.entries.keys().nth(position).expect("position is below the length");
        self.entries.remove(&hash);
    }
}

/// A new operator key resets what the operator had set, and disables until the new operator announces itself.
fn replace_operator(entry: &mut MasternodeListEntry, rng: &mut fastrand::Rng) {
    entry.operator_public_key = random::public_key(rng);
    entry.service_address = ServiceAddress::Socket(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    entry.is_valid = false;
    if let EntryMasternodeType::HighPerformance { platform_http_port, platform_node_id } = &mut entry.mn_type
    {
        *platform_http_port = Some(0);
        *platform_node_id = PubkeyHash::all_zeros();
    }
}

fn revive(entry: &mut MasternodeListEntry, address: ServiceAddress, rng: &mut fastrand::Rng) {
    entry.is_valid = true;
    entry.service_address = address;
    if entry.operator_public_key.is_zeroed() {
        entry.operator_public_key = random::public_key(rng);
    }
    if let EntryMasternodeType::HighPerformance { platform_http_port, platform_node_id } = &mut entry.mn_type
    {
        *platform_http_port = Some(PLATFORM_HTTP_PORT);
        *platform_node_id = PubkeyHash::from_byte_array(random::hash(rng));
    }
}

const FIRST_REGISTRATION: u32 = 10;
/// Leaves every masternode time to be confirmed before the first list that quorums are chosen from.
const LAST_REGISTRATION: u32 = 90;
/// Regtest confirms a registration with the hash of the next block, in the block after that.
const CONFIRMED_AFTER: u32 = 2;
const FEWEST_ENABLED: usize = 4;
const CHANGING_BLOCKS: usize = 3;
const BASIC_BLS: u16 = 2;
const CORE_PORT: u16 = 19_899;
const PLATFORM_HTTP_PORT: u16 = 22_200;
