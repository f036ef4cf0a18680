//! Transactions with DIP2 special payloads.

pub mod special_transaction;

use bitcoin_hashes::sha256d;

use crate::consensus::{
    Decodable, DecodeError, Encodable, Reader, encode_compact_size, encode_vec, serialize,
};
use crate::hash_types::Txid;
use special_transaction::coinbase::CoinbasePayload;

/// Transaction type of a coinbase with a [`CoinbasePayload`] (DIP4).
pub const COINBASE_TX_TYPE: u16 = 5;

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Low 16 bits of the version word.
    pub version: u16,
    /// High 16 bits of the version word (DIP2): 0 is an ordinary transaction.
    pub tx_type: u16,
    /// Inputs.
    pub input: Vec<TxIn>,
    /// Outputs.
    pub output: Vec<TxOut>,
    /// Lock time.
    pub lock_time: u32,
    /// Payload of a special transaction; only on the wire when `version >= 3` and `tx_type != 0`.
    pub extra_payload: Vec<u8>,
}

impl Transaction {
    /// SHA-256d of the encoding.
    pub fn txid(&self) -> Txid {
        Txid::from_byte_array(sha256d::hash(&serialize(self)).to_byte_array())
    }

    /// The coinbase payload, when this is a special coinbase; `None` for any other transaction.
    ///
    /// # Errors
    /// When the payload is no valid `CCbTx` or does not end with it.
    pub fn coinbase_payload(&self) -> Result<Option<CoinbasePayload>, DecodeError> {
        if !self.has_payload() || self.tx_type != COINBASE_TX_TYPE {
            return Ok(None);
        }
        crate::consensus::deserialize(&self.extra_payload).map(Some)
    }

    fn has_payload(&self) -> bool {
        self.version >= 3 && self.tx_type != 0
    }
}

impl Encodable for Transaction {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.tx_type.consensus_encode(out);
        encode_vec(&self.input, out);
        encode_vec(&self.output, out);
        self.lock_time.consensus_encode(out);
        if self.has_payload() {
            encode_compact_size(self.extra_payload.len(), out);
            out.extend_from_slice(&self.extra_payload);
        }
    }
}

impl Decodable for Transaction {
    const MIN_SIZE: usize = 10;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut transaction = Self {
            version: reader.read("tx.version")?,
            tx_type: reader.read("tx.type")?,
            input: reader.vec("tx.vin")?,
            output: reader.vec("tx.vout")?,
            lock_time: reader.read("tx.locktime")?,
            extra_payload: Vec::new(),
        };
        if transaction.has_payload() {
            transaction.extra_payload = reader.field("tx.extraPayload").var_bytes()?.to_vec();
        }
        Ok(transaction)
    }
}

/// Reference to an output of an earlier transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutPoint {
    /// The earlier transaction; zero in a coinbase.
    pub txid: Txid,
    /// Index of its output; `u32::MAX` in a coinbase.
    pub vout: u32,
}

impl Encodable for OutPoint {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.txid.consensus_encode(out);
        self.vout.consensus_encode(out);
    }
}

impl Decodable for OutPoint {
    const MIN_SIZE: usize = 36;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { txid: reader.read("prevout.hash")?, vout: reader.read("prevout.n")? })
    }
}

/// Transaction input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxIn {
    /// What is spent.
    pub previous_output: OutPoint,
    /// Unlocking script, or the coinbase's free bytes.
    pub script_sig: Vec<u8>,
    /// Sequence number.
    pub sequence: u32,
}

impl Encodable for TxIn {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.previous_output.consensus_encode(out);
        encode_compact_size(self.script_sig.len(), out);
        out.extend_from_slice(&self.script_sig);
        self.sequence.consensus_encode(out);
    }
}

impl Decodable for TxIn {
    const MIN_SIZE: usize = 41;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            previous_output: OutPoint::consensus_decode(reader)?,
            script_sig: reader.field("tx.vin.scriptSig").var_bytes()?.to_vec(),
            sequence: reader.read("tx.vin.sequence")?,
        })
    }
}

/// Transaction output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOut {
    /// Amount in duffs (1e-8 Dash).
    pub value: i64,
    /// Locking script.
    pub script_pubkey: Vec<u8>,
}

impl Encodable for TxOut {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.value.consensus_encode(out);
        encode_compact_size(self.script_pubkey.len(), out);
        out.extend_from_slice(&self.script_pubkey);
    }
}

impl Decodable for TxOut {
    const MIN_SIZE: usize = 9;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            value: reader.read("tx.vout.nValue")?,
            script_pubkey: reader.field("tx.vout.scriptPubKey").var_bytes()?.to_vec(),
        })
    }
}
