//! X11 hashing on all cores.

use std::thread;

use dashcore::{BlockHash, Header};
use parking_lot::Mutex;

/// Headers that a thread takes at a time; for fewer, a second thread costs more than it saves.
const SHARE: usize = 64;

/// Hashes headers in order, spread over the machine's cores. Blocks for some microseconds per header, so call it
/// where blocking is allowed.
pub(crate) fn hash_all(headers: &[Header]) -> Vec<BlockHash> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let helpers = cores.min(headers.len() / SHARE).saturating_sub(1);
    let mut hashes = vec![BlockHash::all_zeros(); headers.len()];
    let shares = Mutex::new(headers.chunks(SHARE).zip(hashes.chunks_mut(SHARE)));
    let take = || shares.lock().next();
    let hash_shares = || {
        while let Some((headers, hashes)) = take() {
            for (header, hash) in headers.iter().zip(hashes) {
                *hash = header.block_hash();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Where the system starts no more threads, this one does all.
            thread::Builder::new().spawn_scoped(scope, hash_shares).ok();
        }
        hash_shares();
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
