//! Blocks known in advance, from which header synchronisation may start.

use std::fmt;
use std::str::FromStr;

use bitcoin_hashes::hex;
use dash_num::Arith256;

use crate::blockdata::block::Header;
use crate::consensus::deserialize;
use crate::hash_types::BlockHash;

/// A known block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Height.
    pub height: u32,
    /// X11 hash of the header.
    pub hash: BlockHash,
    /// The header; `None` where only its hash is known. Any node sends it to whoever asks for that hash.
    pub header: Option<Header>,
    /// Total work of the chain up to and with this block. Every chain that has the block counts at least this much, so that
    /// chains can be compared wherever they start.
    pub chain_work: Arith256,
    /// Whether `chain_work` is only assumed: more than the chain really has, and so much that a chain that continues one
    /// checkpoint never counts more at the next.
    pub is_work_assumed: bool,
    /// Headers below this block, its parent first, each the parent of the one before; empty where they are not known. What
    /// follows the block is held to rules that look at 24 of them.
    pub below: Vec<Header>,
}

pub(crate) fn mainnet() -> Vec<Checkpoint> {
    parse(include_str!("../data/checkpoints-mainnet.csv"))
}

pub(crate) fn testnet() -> Vec<Checkpoint> {
    parse(include_str!("../data/checkpoints-testnet.csv"))
}

/// The tables are part of the source, so a malformed line is a bug that every test would show. `cargo xtask checkpoints`
/// writes them.
fn parse(table: &str) -> Vec<Checkpoint> {
    table.lines().skip(1).map(|line| line.parse().expect("checkpoint tables are well-formed")).collect()
}

impl Checkpoint {
    /// The first line of a table, above its checkpoints in ascending order, one a line.
    pub const TABLE_HEADING: &str = "height,hash,header,chainwork,below";
}

/// A line of a table: height, hash, header or nothing, work (after `~`, if it is assumed), and the headers below in a row or
/// nothing.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},", self.height, self.hash)?;
        write_headers(self.header.as_slice(), f)?;
        let work = format!("{:x}", self.chain_work);
        let assumed = if self.is_work_assumed { "~" } else { "" };
        write!(f, ",{assumed}{},", work.trim_start_matches('0'))?;
        write_headers(&self.below, f)
    }
}

/// What is no line of a table of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint as HEIGHT,HASH,[HEADER],[~]WORK,[HEADERS BELOW]")]
pub struct MalformedCheckpoint;

impl FromStr for Checkpoint {
    type Err = MalformedCheckpoint;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        parse_line(line).ok_or(MalformedCheckpoint)
    }
}

fn parse_line(line: &str) -> Option<Checkpoint> {
    let mut fields = line.split(',');
    let height = fields.next()?.parse().ok()?;
    let hash = BlockHash::from_str(fields.next()?).ok()?;
    let header = match headers(fields.next()?)?[..] {
        [] => None,
        [header] => Some(header),
        _ => return None,
    };
    let work = fields.next()?;
    let assumed = work.strip_prefix('~');
    Some(Checkpoint {
        height,
        hash,
        header,
        chain_work: Arith256::from_hex_lossy(assumed.unwrap_or(work)),
        is_work_assumed: assumed.is_some(),
        below: headers(fields.next()?)?,
    })
}

fn headers(field: &str) -> Option<Vec<Header>> {
    let bytes = hex::decode_to_vec(field).ok()?;
    bytes.chunks(Header::SIZE).map(|header| deserialize(header).ok()).collect()
}

fn write_headers(headers: &[Header], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    headers.iter().flat_map(Header::to_bytes).try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use dash_num::CompactTarget;

    use super::*;

    #[test]
    fn every_header_hashes_to_its_hash_and_meets_its_target() {
        for table in [mainnet(), testnet()] {
            assert!(table.len() > 20);
            for checkpoint in &table {
                let mut expected = checkpoint.hash;
                for header in checkpoint.header.iter().chain(&checkpoint.below) {
                    assert_eq!(header.block_hash(), expected, "height {}", checkpoint.height);
                    assert!(header.meets_target(expected), "height {}", checkpoint.height);
                    expected = header.prev_blockhash;
                }
                assert!(checkpoint.header.is_some() || checkpoint.below.is_empty());
            }
        }
    }

    #[test]
    fn work_grows_from_that_of_the_first_block() {
        for table in [mainnet(), testnet()] {
            assert!(
                table.is_sorted_by(|one, next| one.height < next.height && one.chain_work < next.chain_work)
            );
            let first = table[0].header.unwrap();
            assert_eq!(table[0].chain_work, CompactTarget::new(first.bits).block_proof());
            // What is counted from an assumption is one.
            assert!(table.is_sorted_by_key(|checkpoint| checkpoint.is_work_assumed));
        }
    }

    /// Blocks above an assumption count on top of it, so it has to leave room for all that may have been done below.
    #[test]
    fn assumed_work_is_twice_what_there_can_have_been() {
        let table = mainnet();
        let exact = table.iter().rev().find(|checkpoint| !checkpoint.is_work_assumed).unwrap();
        let assumed: Vec<_> = table.iter().filter(|checkpoint| checkpoint.is_work_assumed).collect();
        let minimum = crate::ChainParams::new(crate::Network::Dash).minimum_chain_work;
        let average = (minimum.wrapping_sub(exact.chain_work)) / u64::from(2_429_859 - exact.height);
        for checkpoint in assumed {
            let counted = checkpoint.chain_work.wrapping_sub(exact.chain_work);
            let twice =
                average.wrapping_mul(Arith256::from_u64(2 * u64::from(checkpoint.height - exact.height)));
            let difference = counted.max(twice).wrapping_sub(counted.min(twice));
            assert!(difference < average, "height {}", checkpoint.height);
        }
    }

    #[test]
    fn a_table_is_read_as_it_is_written() {
        for (table, text) in [
            (mainnet(), include_str!("../data/checkpoints-mainnet.csv")),
            (testnet(), include_str!("../data/checkpoints-testnet.csv")),
        ] {
            let lines = table.iter().map(|checkpoint| format!("{checkpoint}\n"));
            assert_eq!(format!("{}\n", Checkpoint::TABLE_HEADING) + &lines.collect::<String>(), text);
        }
        let known = mainnet()[1].clone();
        let below = vec![mainnet()[2].header.unwrap(), mainnet()[3].header.unwrap()];
        let checkpoint = Checkpoint { below, ..known };
        assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
    }

    #[test]
    fn malformed_lines_are_refused() {
        let hash = "00000000000000071".to_owned() + &"0".repeat(47);
        for (line, is_well_formed) in [
            (format!("7,{hash},,~ff,"), true),
            (format!("7,{hash},,ff"), false),
            (format!("7,{hash},00,ff,"), false),
            (format!("7,{hash},,ff,{}", "00".repeat(81)), false),
            (format!("7,{hash},{},ff,", "00".repeat(160)), false),
            (format!("x,{hash},,ff,"), false),
        ] {
            assert_eq!(parse_line(&line).is_some(), is_well_formed, "{line}");
        }
    }
}
