use crate::blockdata::block::Header;
use crate::blockdata::transaction::{OutPoint, Transaction, TxIn, TxOut};
use crate::hash_types::Txid;

/// Directories are called after it, it is printed, and nodes are told it: so it is a name and nothing else.
pub(super) fn is_devnet_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= MAX_DEVNET_NAME
        && name.bytes().all(is_plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// Longest name of a devnet that is accepted.
const MAX_DEVNET_NAME: usize = 64;

/// The block after genesis of the devnet with this name, which its coinbase says (Dash Core `FindDevNetGenesisBlock`,
/// chainparams.cpp).
pub(super) fn devnet_block(name: &str, genesis: &Header) -> Header {
    let mut header = Header {
        version: 4,
        prev_blockhash: genesis.block_hash(),
        merkle_root: devnet_coinbase(name).txid().into(),
        time: genesis.time + 1,
        bits: genesis.bits,
        nonce: 0,
    };
    // Every second hash will do.
    while !header.meets_target(header.block_hash()) {
        header.nonce = header.nonce.wrapping_add(1);
    }
    header
}

/// The only transaction of a devnet's block 1: its script holds the height and the name.
pub fn devnet_coinbase(name: &str) -> Transaction {
    const OP_1: u8 = 0x51;
    const OP_PUSHDATA1: u8 = 0x4c;
    const OP_RETURN: u8 = 0x6a;
    let name = format!("devnet-{name}").into_bytes();
    let mut script_sig = vec![OP_1];
    // Names that are accepted are shorter than 256 bytes.
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    if length >= OP_PUSHDATA1 {
        script_sig.push(OP_PUSHDATA1);
    }
    script_sig.push(length);
    script_sig.extend(name);
    Transaction {
        version: 1,
        tx_type: 0,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::all_zeros(), vout: u32::MAX },
            script_sig,
            sequence: u32::MAX,
        }],
        output: vec![TxOut { value: 50 * 100_000_000, script_pubkey: vec![OP_RETURN] }],
        lock_time: 0,
        extra_payload: Vec::new(),
    }
}
