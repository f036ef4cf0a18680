use redb::TableDefinition;

/// Changes whenever the meaning of a table does; a number that grows.
pub(super) const FORMAT: &str = "5";

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_NETWORK: &str = "network";
/// As TOML, what the network's parameters are but for its name.
pub(super) const META_PARAMS: &str = "params";

/// Facts about the database itself.
pub(super) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// Height to header, its hash, which X11 makes slow to compute again, and the row's digest. Those above the highest in [`LISTS`] are of no
/// proven chain.
pub(super) const HEADERS: TableDefinition<'_, u32, HeaderValue<'_>> = TableDefinition::new("headers");

/// The value of [`HEADERS`].
pub(super) type HeaderValue<'a> = (&'a [u8; 80], &'a [u8; 32], u64);

/// Hash to header and the row's digest, of those below the lowest in [`HEADERS`] that rules look at. Made when it is first written, so that
/// databases without it stay readable: what is missing is fetched again.
pub(super) const ANCESTORS: TableDefinition<'_, &[u8; 32], (&[u8; 80], u64)> =
    TableDefinition::new("ancestors");

/// The highest ChainLock that is verified: height and hash of its block, and the signature. Made when it is first written,
/// so that databases without it stay readable.
pub(super) const CHAIN_LOCKS: TableDefinition<'_, u8, (ChainLockValue<'_>, u64)> =
    TableDefinition::new("chain_locks");

/// What [`CHAIN_LOCKS`] has beside the digest.
pub(super) type ChainLockValue<'a> = (u32, &'a [u8; 32], &'a [u8; 96]);

/// Block hash to height.
pub(super) const HEIGHTS: TableDefinition<'_, &[u8; 32], u32> = TableDefinition::new("heights");

/// Height to block hash of every list in [`LISTS`], and the row's digest: which there are is asked more often than what they say, and those rows are
/// long.
pub(super) const LIST_BLOCKS: TableDefinition<'_, u32, (&[u8; 32], u64)> =
    TableDefinition::new("list_blocks");

/// Masternodes that some proven list shows as EvoNodes, with the lowest such height. A revoked EvoNode's entry goes back
/// to version 1, which does not carry the type, but the type of a masternode never changes. Beside it, the row's digest.
pub(super) const EVO_NODES: TableDefinition<'_, &[u8; 32], (u32, u64)> = TableDefinition::new("evo_nodes");

/// What [`LISTS`] has beside the digest.
pub(super) type ListContents<'a> = (&'a [u8; 32], u32, u32, &'a [u8]);

/// The value of [`LISTS`].
pub(super) type ListValue<'a> = (ListContents<'a>, u64);

/// Height to block hash, height of the base, number of diffs since the last whole list, the `mnlistdiff`, and the row's
/// digest: no root covers the ChainLock signatures beside quorums.
pub(super) const LISTS: TableDefinition<'_, u32, ListValue<'_>> = TableDefinition::new("lists");

/// Base height of a cycle of the rotated kind to the hash of its work block, whether the snapshot is proven (it follows
/// from lists alone) or only a peer's word, and the snapshot.
pub(super) const SNAPSHOTS: TableDefinition<'_, u32, SnapshotValue<'_>> = TableDefinition::new("snapshots");

/// The value of [`SNAPSHOTS`] and its digest.
pub(super) type SnapshotValue<'a> = ((&'a [u8; 32], bool, &'a [u8]), u64);

/// Type and quorum hash, to what is known of the quorum.
pub(super) const QUORUMS: TableDefinition<'_, &[u8; 33], QuorumValue<'_>> = TableDefinition::new("quorums");

/// The value of [`QUORUMS`], which is base height, hash of the commitment, code of what was found, and names of the
/// members; and its digest.
pub(super) type QuorumValue<'a> = ((u32, &'a [u8; 32], u8, &'a [u8]), u64);

/// Address, as on the wire, to what is known of the node there. Made when it is first written, so that databases without
/// it stay readable.
pub(super) const PEERS: TableDefinition<'_, &[u8; 18], (PeerValue, u64)> = TableDefinition::new("peers");

/// The value of [`PEERS`], beside which its digest stands: code and group of the source; when it was seen, tried and successful; failures in a row; answers
/// that were served, refused, failed and wrong; round trip; code and end of a ban. Times in milliseconds, since 1970.
pub(super) type PeerValue =
    ((u8, u64), (u64, Option<u64>, Option<u64>), u32, (u32, u32, u32, u32), Option<u64>, Option<(u8, u64)>);
