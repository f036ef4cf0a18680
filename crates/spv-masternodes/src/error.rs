use dashcore::consensus::DecodeError;
use dashcore::hash_types::{MerkleRootMasternodeList, MerkleRootQuorums, TxMerkleNode};
use dashcore::merkle_tree::MerkleError;
use dashcore::network::message_sml::DeletedQuorum;
use dashcore::{BlockHash, ProTxHash, Txid};

/// Why a diff does not prove the state that it claims.
///
/// With a verified header and the state at the diff's base, every variant but [`ProofError::WrongBlock`] and
/// [`ProofError::WrongBase`] (which may be the caller mixing up answers) is the fault of whoever made the diff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The diff is to another block.
    #[error("the diff is to block {got}, but {expected} was expected")]
    WrongBlock {
        /// Block that the caller named.
        expected: BlockHash,
        /// Block that the diff names.
        got: BlockHash,
    },
    /// The diff is based on another block than the state's.
    #[error("diff based on block {got} cannot be applied to the state at {expected}")]
    WrongBase {
        /// Block of the state.
        expected: BlockHash,
        /// Base that the diff names.
        got: BlockHash,
    },
    /// The partial merkle tree is malformed.
    #[error("coinbase proof is malformed")]
    MalformedCoinbaseProof(#[source] MerkleError),
    /// The partial merkle tree does not prove exactly the coinbase at position 0.
    #[error("coinbase proof matches {} instead of coinbase {coinbase} alone", matched(matches))]
    CoinbaseNotMatched {
        /// The coinbase's own id.
        coinbase: Txid,
        /// What the tree matches: position in the block, and id.
        matches: Vec<(u32, Txid)>,
    },
    /// The partial merkle tree is of another block.
    #[error("coinbase proof has root {got}, the header has {expected}")]
    WrongTransactionRoot {
        /// Root in the header.
        expected: TxMerkleNode,
        /// Root of the partial tree.
        got: TxMerkleNode,
    },
    /// The coinbase carries no payload, as those below DIP3 do.
    #[error("coinbase of type {tx_type} carries no masternode list root")]
    PlainCoinbase {
        /// Type of the transaction.
        tx_type: u16,
    },
    /// The coinbase payload is malformed.
    #[error("coinbase payload is malformed")]
    MalformedCoinbasePayload(#[source] DecodeError),
    /// The coinbase is of another height.
    #[error("coinbase says height {got}, the block is at {expected}")]
    WrongCoinbaseHeight {
        /// Height of the block.
        expected: u32,
        /// Height in the payload.
        got: i32,
    },
    /// A masternode is named twice, as changed, as deleted or as both.
    #[error("masternode {0} occurs twice")]
    DuplicateMasternode(ProTxHash),
    /// A quorum is named twice, as new, as deleted or as both.
    #[error("quorum {} of type {} occurs twice", .0.quorum_hash, .0.llmq_type)]
    DuplicateQuorum(DeletedQuorum),
    /// A ChainLock signature is given for a new quorum that is not there.
    #[error("a ChainLock signature is assigned to new quorum {index} of {new_quorums}")]
    ChainLockIndexOutOfRange {
        /// Index that is out of range.
        index: u16,
        /// Number of new quorums.
        new_quorums: usize,
    },
    /// Two ChainLock signatures are given for one new quorum.
    #[error("there are two ChainLock signatures for new quorum {index}")]
    DuplicateChainLockIndex {
        /// The quorum's index among the new ones.
        index: u16,
    },
    /// Some new quorum has no ChainLock signature, not even the null one.
    #[error("there is no ChainLock signature for new quorum {index}")]
    MissingChainLockIndex {
        /// The first such quorum's index among the new ones.
        index: usize,
    },
    /// A masternode is deleted that is not in the base's list.
    #[error("deleted masternode {0} is not in the list")]
    UnknownDeletedMasternode(ProTxHash),
    /// A quorum is deleted that is not active at the base.
    #[error("deleted quorum {} of type {} is not active", .0.quorum_hash, .0.llmq_type)]
    UnknownDeletedQuorum(DeletedQuorum),
    /// A quorum is said to be new that is already active at the base.
    #[error("new quorum {} of type {} is already active", .0.quorum_hash, .0.llmq_type)]
    KnownNewQuorum(DeletedQuorum),
    /// The list after the diff is not the one that the coinbase commits to.
    #[error("masternode list has root {got}, the coinbase has {expected}")]
    WrongMasternodeRoot {
        /// Root in the coinbase.
        expected: MerkleRootMasternodeList,
        /// Root of the list.
        got: MerkleRootMasternodeList,
    },
    /// The quorums after the diff are not those that the coinbase commits to.
    #[error("quorums have root {got}, the coinbase has {expected}")]
    WrongQuorumRoot {
        /// Root in the coinbase.
        expected: MerkleRootQuorums,
        /// Root of the quorums.
        got: MerkleRootQuorums,
    },
    /// The block follows rules newer than those known here, and by what is known of them its list cannot be proven. Nobody
    /// is to blame for it, unless somebody else proves it.
    #[error("made by newer rules than this version knows; update: {reason}")]
    NewerRules {
        /// What of it is newer, and what fails.
        reason: String,
    },
}

impl ProofError {
    /// Whether rules newer than those known here explain it.
    pub const fn is_of_newer_rules(&self) -> bool {
        matches!(self, Self::NewerRules { .. })
    }
}

/// What a partial merkle tree matches, however much that is, in a few words.
fn matched(matches: &[(u32, Txid)]) -> String {
    match matches {
        [] => "no transaction".to_owned(),
        [(position, txid)] => format!("transaction {txid} at position {position}"),
        more => format!("{} transactions", more.len()),
    }
}
