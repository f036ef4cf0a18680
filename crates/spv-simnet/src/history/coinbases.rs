use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use dashcore::Transaction;
use dashcore::consensus::{Decodable, DecodeError, Encodable, Reader, deserialize};
use dashcore::hash_types::TxMerkleNode;
use parking_lot::Mutex;

/// A coinbase with its partial merkle tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoinbaseProof {
    pub(crate) transaction: Transaction,
    pub(crate) total_transactions: u32,
    pub(crate) merkle_hashes: Vec<TxMerkleNode>,
    pub(crate) merkle_flags: Vec<u8>,
}

impl CoinbaseProof {
    /// Of a block that holds nothing but this coinbase.
    pub(crate) fn alone(transaction: Transaction) -> Self {
        let merkle_hashes = vec![transaction.txid().into()];
        Self { transaction, total_transactions: 1, merkle_hashes, merkle_flags: vec![1] }
    }
}

/// The coinbases of all blocks, encoded one after the other: in memory, or in a file from which they are read one by one.
#[derive(Debug)]
pub(crate) struct Coinbases {
    /// Where each ends; it begins where the one before it ends.
    ends: Vec<u64>,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    File {
        file: Mutex<File>,
        /// Where in the file the first begins.
        start: u64,
    },
}

impl Coinbases {
    /// Coinbases that end at these places in `bytes`.
    pub(crate) fn in_memory(bytes: Vec<u8>, ends: Vec<u64>) -> Self {
        Self { ends, bytes: Bytes::Memory(bytes) }
    }

    /// Coinbases that end at these places of a file, counted from `start`.
    pub(crate) fn in_file(file: File, start: u64, ends: Vec<u64>) -> Self {
        Self { ends, bytes: Bytes::File { file: Mutex::new(file), start } }
    }

    /// The coinbase at a height.
    ///
    /// # Errors
    /// When the file cannot be read or its content has changed.
    ///
    /// # Panics
    /// Above the tip.
    pub(crate) fn get(&self, height: u32) -> io::Result<CoinbaseProof> {
        let index = height as usize;
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        let size = usize::try_from(self.ends[index] - begin).map_err(io::Error::other)?;
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let begin = usize::try_from(begin).map_err(io::Error::other)?;
                decode(&bytes[begin..begin + size])
            }
            Bytes::File { file, start } => {
                let mut bytes = vec![0; size];
                {
                    let mut file = file.lock();
                    file.seek(SeekFrom::Start(start + begin))?;
                    file.read_exact(&mut bytes)?;
                }
                decode(&bytes)
            }
        }
    }
}

fn decode(bytes: &[u8]) -> io::Result<CoinbaseProof> {
    deserialize(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl Encodable for CoinbaseProof {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        let count = |length: usize| u32::try_from(length).expect("a branch fits into memory");
        self.total_transactions.consensus_encode(out);
        count(self.merkle_hashes.len()).consensus_encode(out);
        self.merkle_hashes.iter().for_each(|hash| hash.consensus_encode(out));
        count(self.merkle_flags.len()).consensus_encode(out);
        out.extend_from_slice(&self.merkle_flags);
        self.transaction.consensus_encode(out);
    }
}

impl Decodable for CoinbaseProof {
    const MIN_SIZE: usize = 4 + 4 + 4 + Transaction::MIN_SIZE;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let total_transactions = reader.read("coinbase.total")?;
        let hashes: u32 = reader.read("coinbase.hashes")?;
        let merkle_hashes = (0..hashes).map(|_| reader.read("coinbase.hashes")).collect::<Result<_, _>>()?;
        let flags: u32 = reader.read("coinbase.flags")?;
        Ok(Self {
            total_transactions,
            merkle_hashes,
            merkle_flags: (0..flags).map(|_| reader.read("coinbase.flags")).collect::<Result<_, _>>()?,
            transaction: reader.read("coinbase.transaction")?,
        })
    }
}
