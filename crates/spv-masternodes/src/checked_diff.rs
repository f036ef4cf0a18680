use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::network::message_sml::{DeletedQuorum, MnListDiff};
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
    diff: MnListDiff,
    height: u32,
    coinbase: CoinbasePayload,
    pub(crate) deleted_masternodes: Vec<ProTxHash>,
    pub(crate) changed_masternodes: Vec<Arc<HashedEntry>>,
    pub(crate) deleted_quorums: Vec<DeletedQuorum>,
    pub(crate) new_quorums: Vec<ActiveQuorum>,
}

impl CheckedDiff {
    /// Checks `diff` as one to `block`.
    ///
    /// # Errors
    /// When the diff is to another block, the coinbase is not proven by the header, is of another height or has no
    /// payload, something is named twice, or the ChainLock signatures do not belong to the new quorums one by one.
    pub fn check(diff: MnListDiff, block: BlockRef<'_>) -> Result<Self, ProofError> {
        if diff.block_hash != block.hash {
            return Err(ProofError::WrongBlock { expected: block.hash, got: diff.block_hash });
        }
        let coinbase = prove_coinbase(&diff, block)?;
        let signatures = chain_lock_signatures(&diff, &coinbase)?;

        let mut deleted_masternodes = diff.deleted_masternodes.clone();
        deleted_masternodes.sort_unstable();
        let mut changed_masternodes: Vec<_> =
            diff.new_masternodes.iter().map(|entry| Arc::new(HashedEntry::new(entry.clone()))).collect();
        changed_masternodes.sort_unstable_by_key(|masternode| masternode.pro_tx_hash());
        let changed = changed_masternodes.iter().map(|masternode| masternode.pro_tx_hash());
        if let Some(twice) = first_duplicate(deleted_masternodes.iter().copied().chain(changed)) {
            return Err(ProofError::DuplicateMasternode(twice));
        }

        let mut deleted_quorums = diff.deleted_quorums.clone();
        deleted_quorums.sort_unstable();
        let mut new_quorums: Vec<_> = diff
            .new_quorums
            .iter()
            .zip(signatures)
            .map(|(entry, signature)| ActiveQuorum::new(entry.clone(), signature))
            .collect();
        new_quorums.sort_unstable_by_key(ActiveQuorum::name);
        let new = new_quorums.iter().map(ActiveQuorum::name);
        if let Some(twice) = first_duplicate(deleted_quorums.iter().copied().chain(new)) {
            return Err(ProofError::DuplicateQuorum(twice));
        }

        Ok(Self {
            diff,
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
        self.diff.base_block_hash
    }

    /// Block that the diff leads to.
    pub fn block_hash(&self) -> BlockHash {
        self.diff.block_hash
    }

    /// Height of that block.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Payload of that block's coinbase, proven by its header.
    pub fn coinbase(&self) -> &CoinbasePayload {
        &self.coinbase
    }

    /// The diff as it came.
    pub fn diff(&self) -> &MnListDiff {
        &self.diff
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
        .map_err(ProofError::MalformedCoinbasePayload)?
        .ok_or(ProofError::PlainCoinbase { tx_type: diff.coinbase_tx.tx_type })?;
    if i64::from(payload.height) != i64::from(block.height) {
        return Err(ProofError::WrongCoinbaseHeight { expected: block.height, got: payload.height });
    }
    Ok(payload)
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

fn first_duplicate<T: Ord + Copy>(names: impl Iterator<Item = T>) -> Option<T> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
