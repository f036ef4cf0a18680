use dashcore::blockdata::transaction::{OutPoint, TxIn, TxOut};
use dashcore::{Transaction, Txid};

use super::coinbases::CoinbaseProof;

/// The only transaction of the block that all Dash networks begin with, apart from time and difficulty.
pub(crate) fn genesis_coinbase() -> CoinbaseProof {
    let message =
        b"Wired 09/Jan/2014 The Grand Experiment Goes Live: Overstock.com Is Now Accepting Bitcoins";
    // Pushes of the compact target 1d00ffff, the number 4 and the message.
    let script_sig = [&[4, 0xff, 0xff, 0, 0x1d, 1, 4, 0x4c, 0x59][..], message].concat();
    let script_pubkey = [&[65][..], &OUTPUT_KEY, &[0xac]].concat();
    CoinbaseProof::alone(Transaction {
        version: 1,
        tx_type: 0,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::all_zeros(), vout: u32::MAX },
            script_sig,
            sequence: u32::MAX,
        }],
        output: vec![TxOut { value: 5_000_000_000, script_pubkey }],
        lock_time: 0,
        extra_payload: Vec::new(),
    })
}

const OUTPUT_KEY: [u8; 65] = [
    0x04, 0x01, 0x84, 0x71, 0x0f, 0xa6, 0x89, 0xad, 0x50, 0x23, 0x69, 0x0c, 0x80, 0xf3, 0xa4, 0x9c, 0x8f,
    0x13, 0xf8, 0xd4, 0x5b, 0x8c, 0x85, 0x7f, 0xbc, 0xbc, 0x8b, 0xc4, 0xa8, 0xe4, 0xd3, 0xeb, 0x4b, 0x10,
    0xf4, 0xd4, 0x60, 0x4f, 0xa0, 0x8d, 0xce, 0x60, 0x1a, 0xaf, 0x0f, 0x47, 0x02, 0x16, 0xfe, 0x1b, 0x51,
    0x85, 0x0b, 0x4a, 0xcf, 0x21, 0xb1, 0x79, 0xc4, 0x50, 0x70, 0xac, 0x7b, 0x03, 0xa9,
];

#[cfg(test)]
mod tests {
    use dashcore::{ChainParams, Network};

    use super::*;

    #[test]
    fn coinbase_is_the_one_that_genesis_headers_commit_to() {
        let genesis = ChainParams::new(Network::Regtest).genesis;
        assert_eq!(genesis.merkle_root, genesis_coinbase().transaction.txid().into());
    }
}
