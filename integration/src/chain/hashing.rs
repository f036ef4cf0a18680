//! X11 hashing on all cores.

use std::thread;

use dashcore::{BlockHash, Header};

/// Below this many headers a second thread costs more than it saves.
const MIN_PER_THREAD: usize = 64;

/// Hashes headers in order, spread over the machine's cores. Blocks for some microseconds per header, so call it
/// where blocking is allowed.
pub(crate) fn hash_all(headers: &[Header]) -> Vec<BlockHash> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(headers.len() / MIN_PER_THREAD).max(1);
    let share = headers.len().div_ceil(threads).max(1);
    let mut hashes = vec![BlockHash::all_zeros(); headers.len()];
    thread::scope(|scope| {
        for (headers, hashes) in headers.chunks(share).zip(hashes.chunks_mut(share)) {
            scope.spawn(move || {
                for (header, hash) in headers.iter().zip(hashes) {
                    *hash = header.block_hash();
                }
            });
        }
    });
    hashes
}

#[cfg(test)]
mod tests {
    use dashcore::{ChainParams, Network};

    use super::*;

    #[test]
    fn order_is_kept_across_threads() {
        let genesis = ChainParams::new(Network::Regtest).genesis;
        let headers: Vec<Header> = (0..1000).map(|nonce| Header { nonce, ..genesis }).collect();
        let expected: Vec<BlockHash> = headers.iter().map(Header::block_hash).collect();
        assert_eq!(hash_all(&headers), expected);
        assert!(hash_all(&[]).is_empty());
    }
}
