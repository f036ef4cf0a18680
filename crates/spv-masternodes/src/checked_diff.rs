use std::mem;
use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::DecodeError;
use dashcore::network::message_sml::{DeletedQuorum, MnListDiff};
use dashcore::sml::address::ServiceAddress;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, Header, ProTxHash};

use crate::error::ProofError;
use crate::masternode_list::HashedEntry;
use crate::quorum_set::ActiveQuorum;

/// A block of the verified header chain, as the caller knows it. Its hash is passed in because X11 is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef<'a> {
    /// Hash of the header.
    pub hash: BlockHash,
    /// The header.
    pub header: &'a Header,
    /// Height in blocks; genesis is 0.
    pub height: u32,
}

/// A diff that is consistent in itself and carries a proven coinbase: all that can be checked without its base, and
/// nearly all of the work. Diffs are checked in parallel, then applied in order by
/// [`ProvenState::advance`](crate::ProvenState::advance).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedDiff {
    /// The diff, but for its masternodes: these are below.
    rest: MnListDiff,
    height: u32,
    coinbase: CoinbasePayload,
    pub(crate) deleted_masternodes: Vec<ProTxHash>,
    pub(crate) changed_masternodes: Vec<Arc<HashedEntry>>,
    pub(crate) deleted_quorums: Vec<DeletedQuorum>,
    pub(crate) new_quorums: Vec<Arc<ActiveQuorum>>,
}

impl CheckedDiff {
    /// Checks `diff` as one to `block`.
    ///
    /// # Errors
    /// When the diff is to another block, the coinbase is not proven by the header, is of another height or has no
    /// payload, something is named twice, or the ChainLock signatures do not belong to the new quorums one by one.
    pub fn check(mut diff: MnListDiff, block: BlockRef<'_>) -> Result<Self, ProofError> {
        if diff.block_hash != block.hash {
            return Err(ProofError::WrongBlock { expected: block.hash, got: diff.block_hash });
        }
        let coinbase = prove_coinbase(&diff, block)?;
        let signatures = chain_lock_signatures(&diff, &coinbase)?;

        let mut deleted_masternodes = diff.deleted_masternodes.clone();
        deleted_masternodes.sort_unstable();
        let mut new_masternodes = mem::take(&mut diff.new_masternodes);
        sort_by_name(&mut new_masternodes);
        let mut buffer = Vec::new();
        let changed_masternodes: Vec<_> =
            new_masternodes.into_iter().map(|entry| Arc::new(HashedEntry::new(entry, &mut buffer))).collect();
        if let Some(twice) =
            first_duplicate(&deleted_masternodes, &changed_masternodes, |masternode| masternode.pro_tx_hash())
        {
            return Err(ProofError::DuplicateMasternode(twice));
        }

        let mut deleted_quorums = diff.deleted_quorums.clone();
        deleted_quorums.sort_unstable();
        let mut new_quorums: Vec<_> = diff
            .new_quorums
            .iter()
            .zip(signatures)
            .map(|(entry, signature)| Arc::new(ActiveQuorum::new(entry.clone(), signature)))
            .collect();
        new_quorums.sort_by_key(|quorum| quorum.name());
        if let Some(twice) = first_duplicate(&deleted_quorums, &new_quorums, |quorum| quorum.name()) {
            return Err(ProofError::DuplicateQuorum(twice));
        }

        Ok(Self {
            rest: diff,
            height: block.height,
            coinbase,
            deleted_masternodes,
            changed_masternodes,
            deleted_quorums,
            new_quorums,
        })
    }

    /// Block that the diff is based on; zero stands for genesis.
    pub fn base_block_hash(&self) -> BlockHash {
        self.rest.base_block_hash
    }

    /// Block that the diff leads to.
    pub fn block_hash(&self) -> BlockHash {
        self.rest.block_hash
    }

    /// Height of that block.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Payload of that block's coinbase, proven by its header.
    pub fn coinbase(&self) -> &CoinbasePayload {
        &self.coinbase
    }

    /// What a root that does not fit comes from: where something of the diff is of a kind that is not known here, from rules
    /// that are not either.
    pub(crate) fn blamed_on_newer_rules(&self, wrong: ProofError) -> ProofError {
        let version = self.coinbase.version;
        let unknown_kind = |address: &ServiceAddress| match address {
            ServiceAddress::Extended(info) => info.unknown_kind(),
            ServiceAddress::Socket(_) => None,
        };
        let mut changed = self.changed_masternodes.iter();
        if self.coinbase.is_of_later_version() {
            ProofError::NewerRules { reason: format!("coinbase of version {version}; {wrong}") }
        } else if let Some(kind) = changed.find_map(|one| unknown_kind(&one.entry.service_address)) {
            ProofError::NewerRules { reason: format!("address of kind {kind}; {wrong}") }
        } else {
            wrong
        }
    }

    /// The diff as it came, but for the order of the masternodes that joined or changed, which now is that of the list.
    pub fn to_diff(&self) -> MnListDiff {
        let changed = self.changed_masternodes.iter().map(|masternode| masternode.entry.clone());
        MnListDiff { new_masternodes: changed.collect(), ..self.rest.clone() }
    }
}

fn prove_coinbase(diff: &MnListDiff, block: BlockRef<'_>) -> Result<CoinbasePayload, ProofError> {
    let proof = diff.partial_merkle_tree().extract_matches().map_err(ProofError::MalformedCoinbaseProof)?;
    if proof.root != block.header.merkle_root {
        return Err(ProofError::WrongTransactionRoot { expected: block.header.merkle_root, got: proof.root });
    }
    let coinbase = diff.coinbase_tx.txid();
    if proof.transactions != [(0, coinbase)] {
        return Err(ProofError::CoinbaseNotMatched { coinbase, matches: proof.transactions });
    }
    let payload = diff
        .coinbase_tx
        .coinbase_payload()
        .map_err(|error| malformed_payload(&diff.coinbase_tx.extra_payload, error))?
        .ok_or(ProofError::PlainCoinbase { tx_type: diff.coinbase_tx.tx_type })?;
    if i64::from(payload.height) != i64::from(block.height) {
        return Err(ProofError::WrongCoinbaseHeight { expected: block.height, got: payload.height });
    }
    Ok(payload)
}

/// A header proves the payload, so that it is as the network's rules have it, whatever is known of these here.
fn malformed_payload(payload: &[u8], error: DecodeError) -> ProofError {
    match payload {
        [low, high, ..] if u16::from_le_bytes([*low, *high]) > CoinbasePayload::NEWEST_VERSION => {
            let version = u16::from_le_bytes([*low, *high]);
            ProofError::NewerRules { reason: format!("coinbase of version {version}; {error}") }
        }
        _ => ProofError::MalformedCoinbasePayload(error),
    }
}

/// The signature of each new quorum, in the diff's order; the null signature counts as none.
///
/// Where any are given they have to cover all new quorums, and from v20 on (coinbase version 3) they have to be given.
fn chain_lock_signatures(
    diff: &MnListDiff,
    coinbase: &CoinbasePayload,
) -> Result<Vec<Option<BLSSignature>>, ProofError> {
    let new_quorums = diff.new_quorums.len();
    let groups = &diff.quorums_chainlock_signatures;
    if groups.is_empty() && coinbase.chain_lock.is_none() {
        return Ok(vec![None; new_quorums]);
    }
    let mut signatures = vec![None; new_quorums];
    for group in groups {
        for &index in &group.index_set {
            let slot = signatures
                .get_mut(usize::from(index))
                .ok_or(ProofError::ChainLockIndexOutOfRange { index, new_quorums })?;
            if slot.replace(group.signature).is_some() {
                return Err(ProofError::DuplicateChainLockIndex { index });
            }
        }
    }
    if let Some(index) = signatures.iter().position(Option::is_none) {
        return Err(ProofError::MissingChainLockIndex { index });
    }
    Ok(signatures.into_iter().map(|given| given.filter(|signature| !signature.is_zeroed())).collect())
}

/// Entries come in no particular order.
fn sort_by_name(entries: &mut [MasternodeListEntry]) {
    let prefix = |entry: &MasternodeListEntry| {
        let [a, b, c, d, e, f, g, h, ..] = entry.pro_reg_tx_hash.to_byte_array();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    };
    // Much less to compare and to move than whole entries. Only names that were made for it share so much.
    entries.sort_by_cached_key(prefix);
    if !entries.is_sorted_by_key(|entry| entry.pro_reg_tx_hash) {
        entries.sort_by_key(|entry| entry.pro_reg_tx_hash);
    }
}

/// The lowest name that occurs twice, among names and things with names, each in order.
fn first_duplicate<T: Ord + Copy, U>(names: &[T], named: &[U], name: impl Fn(&U) -> T) -> Option<T> {
    let among_names = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let among_named =
        named.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])).map(|pair| name(&pair[0]));
    let in_both = names.iter().copied().find(|one| named.binary_search_by_key(one, &name).is_ok());
    among_names.into_iter().chain(among_named).chain(in_both).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_duplicate_is_found_wherever_it_is() {
        let find = |names: &[u8], named: &[u8]| first_duplicate(names, named, |one| *one);
        assert_eq!(find(&[1, 3, 5], &[2, 4]), None);
        assert_eq!(find(&[1, 3, 3], &[2, 4, 4]), Some(3));
        assert_eq!(find(&[1, 3, 3], &[2, 2, 4]), Some(2));
        assert_eq!(find(&[1, 3, 5, 5], &[3, 4, 4]), Some(3));
    }
}
