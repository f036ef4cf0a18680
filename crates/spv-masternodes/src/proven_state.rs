use std::collections::BTreeMap;

use bitcoin_hashes::sha256d;
use dashcore::BlockHash;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::network::message_sml::{MnListDiff, QuorumCLSigObject};

use crate::checked_diff::CheckedDiff;
use crate::error::ProofError;
use crate::masternode_list::MasternodeList;
use crate::quorum_set::{QuorumConflict, QuorumSet};

/// The masternode list and the active quorums at a block, as that block's coinbase commits to them.
///
/// There are two ways to get one, [`genesis`](Self::genesis) and [`advance`](Self::advance), so whoever holds one
/// knows that both merkle roots were checked against a coinbase that the block's header proves; between DIP3 and DIP8, whose
/// coinbases have no root of quorums, the list's alone: see [`are_quorums_proven`](Self::are_quorums_proven). That the header
/// is part of the best chain is for the caller to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenState {
    block_hash: BlockHash,
    height: u32,
    coinbase: Option<CoinbasePayload>,
    masternodes: MasternodeList,
    quorums: QuorumSet,
}

impl ProvenState {
    /// The state at block 0: no masternodes, no quorums.
    pub fn genesis(genesis_hash: BlockHash) -> Self {
        Self {
            block_hash: genesis_hash,
            height: 0,
            coinbase: None,
            masternodes: MasternodeList::empty(),
            quorums: QuorumSet::empty(),
        }
    }

    /// The state at the diff's block. A diff from a block to itself, which is empty, gives this same state.
    ///
    /// # Errors
    /// When the diff is based on another block, deletes what is not there, adds a quorum that is, or leads to a
    /// list or quorums that are not those of the coinbase. `self` stays usable.
    pub fn advance(&self, checked: &CheckedDiff) -> Result<Self, ProofError> {
        let base = checked.base_block_hash();
        if base != self.block_hash && !(self.is_genesis() && base.is_null()) {
            return Err(ProofError::WrongBase { expected: self.block_hash, got: base });
        }
        let masternodes = self
            .masternodes
            .apply(&checked.deleted_masternodes, &checked.changed_masternodes)
            .map_err(ProofError::UnknownDeletedMasternode)?;
        let coinbase = checked.coinbase().clone();
        let quorums = if self.are_quorums_proven() {
            self.quorums.apply(&checked.deleted_quorums, &checked.new_quorums).map_err(|conflict| {
                match conflict {
                    QuorumConflict::UnknownDeleted(name) => ProofError::UnknownDeletedQuorum(name),
                    QuorumConflict::KnownNew(name) => ProofError::KnownNewQuorum(name),
                }
            })?
        } else {
            // Whoever sent the base may have left some out, which is no fault of this diff.
            self.quorums.apply_unproven(&checked.deleted_quorums, &checked.new_quorums)
        };
        check_roots(&masternodes, &quorums, &coinbase)
            .map_err(|wrong| checked.blamed_on_newer_rules(wrong))?;
        Ok(Self {
            block_hash: checked.block_hash(),
            height: checked.height(),
            coinbase: Some(coinbase),
            masternodes,
            quorums,
        })
    }

    /// The whole state as one diff from genesis, with the coinbase proof that `proof`, any diff to this state's
    /// block, carries. Advancing the genesis state by it gives this state again; everything is in canonical order,
    /// so equal states with equal proofs give equal bytes.
    pub fn to_full_diff(&self, proof: &MnListDiff) -> MnListDiff {
        MnListDiff {
            version: proof.version,
            base_block_hash: BlockHash::all_zeros(),
            block_hash: self.block_hash,
            total_transactions: proof.total_transactions,
            merkle_hashes: proof.merkle_hashes.clone(),
            merkle_flags: proof.merkle_flags.clone(),
            coinbase_tx: proof.coinbase_tx.clone(),
            deleted_masternodes: Vec::new(),
            new_masternodes: self.masternodes.iter().cloned().collect(),
            deleted_quorums: Vec::new(),
            new_quorums: self.quorums.iter().map(|quorum| (*quorum.entry).clone()).collect(),
            quorums_chainlock_signatures: self.chain_lock_groups(),
        }
    }

    /// Hash of the block.
    pub fn block_hash(&self) -> BlockHash {
        self.block_hash
    }

    /// Height of the block.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Payload of the block's coinbase; `None` only at genesis.
    pub fn coinbase(&self) -> Option<&CoinbasePayload> {
        self.coinbase.as_ref()
    }

    /// The masternode list after the block.
    pub fn masternodes(&self) -> &MasternodeList {
        &self.masternodes
    }

    /// The active quorums after the block.
    pub fn quorums(&self) -> &QuorumSet {
        &self.quorums
    }

    /// Whether the quorums are those that the coinbase commits to. Not between DIP3 and DIP8, whose coinbases commit to the
    /// masternode list alone: there the quorums are the word of whoever sent them.
    pub fn are_quorums_proven(&self) -> bool {
        self.coinbase.as_ref().is_none_or(|coinbase| coinbase.merkle_root_quorums.is_some())
    }

    fn is_genesis(&self) -> bool {
        self.coinbase.is_none()
    }

    /// The quorums' positions grouped by ChainLock signature, ascending by the signature's hash as nodes send them.
    /// Null signatures are written from v20 on, or as soon as any quorum has one that is not null.
    fn chain_lock_groups(&self) -> Vec<QuorumCLSigObject> {
        let after_v20 = self.coinbase.as_ref().is_some_and(|coinbase| coinbase.chain_lock.is_some());
        if !after_v20 && self.quorums.iter().all(|quorum| quorum.chain_lock_signature.is_none()) {
            return Vec::new();
        }
        let mut groups: BTreeMap<[u8; 32], QuorumCLSigObject> = BTreeMap::new();
        for (index, quorum) in (0..=u16::MAX).zip(self.quorums.iter()) {
            let signature = quorum.chain_lock_signature.unwrap_or_default();
            groups
                .entry(signature_hash(&signature))
                .or_insert_with(|| QuorumCLSigObject { signature, index_set: Vec::new() })
                .index_set
                .push(index);
        }
        groups.into_values().collect()
    }
}

fn check_roots(
    masternodes: &MasternodeList,
    quorums: &QuorumSet,
    coinbase: &CoinbasePayload,
) -> Result<(), ProofError> {
    let (expected, got) = (coinbase.merkle_root_masternode_list, masternodes.merkle_root());
    if expected != got {
        return Err(ProofError::WrongMasternodeRoot { expected, got });
    }
    match coinbase.merkle_root_quorums {
        Some(expected) if expected != quorums.merkle_root() => {
            Err(ProofError::WrongQuorumRoot { expected, got: quorums.merkle_root() })
        }
        _ => Ok(()),
    }
}

fn signature_hash(signature: &BLSSignature) -> [u8; 32] {
    sha256d::hash(signature.as_bytes()).to_byte_array()
}
