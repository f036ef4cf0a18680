//! Blocks known in advance, from which header synchronisation may start.

use std::str::FromStr;

use bitcoin_hashes::hex;
use dash_num::Arith256;

use crate::blockdata::block::Header;
use crate::consensus::deserialize;
use crate::hash_types::BlockHash;

/// A known block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Height.
    pub height: u32,
    /// X11 hash of the header.
    pub hash: BlockHash,
    /// The header.
    pub header: Header,
    /// Total work of the chain up to and with this block.
    pub chain_work: Arith256,
}

pub(crate) fn mainnet() -> Vec<Checkpoint> {
    parse(include_str!("../data/checkpoints-mainnet.csv"))
}

pub(crate) fn testnet() -> Vec<Checkpoint> {
    parse(include_str!("../data/checkpoints-testnet.csv"))
}

/// The tables are part of the source, so a malformed line is a bug that every test would show.
fn parse(table: &str) -> Vec<Checkpoint> {
    table.lines().skip(1).map(|line| parse_line(line).expect("checkpoint tables are well-formed")).collect()
}

fn parse_line(line: &str) -> Option<Checkpoint> {
    let mut fields = line.split(',');
    let height = fields.next()?.parse().ok()?;
    let hash = BlockHash::from_str(fields.next()?).ok()?;
    let header = hex::decode_to_vec(fields.next()?).ok()?;
    let chain_work = Arith256::from_hex_lossy(fields.next()?);
    Some(Checkpoint { height, hash, header: deserialize(&header).ok()?, chain_work })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_hashes_to_its_hash_and_meets_its_target() {
        for table in [mainnet(), testnet()] {
            assert!(table.len() > 20);
            assert!(table.is_sorted_by_key(|checkpoint| checkpoint.height));
            assert!(table.is_sorted_by_key(|checkpoint| checkpoint.chain_work));
            for checkpoint in table {
                assert_eq!(checkpoint.header.block_hash(), checkpoint.hash, "height {}", checkpoint.height);
                assert!(checkpoint.header.meets_target(checkpoint.hash), "height {}", checkpoint.height);
            }
        }
    }
}
