//! Decoding of the large messages, and hashing of headers.
//!
//! `cargo bench -p dashcore`, or with `-- --test` to run each once.
#![allow(clippy::unwrap_used, reason = "the input is known to be well-formed")]
#![allow(clippy::print_stderr, reason = "missing input has to be seen")]

mod comparison;
mod straightforward;

use std::path::{Path, PathBuf};
use std::{fs, thread};

use comparison::Comparisons;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use dashcore::{ChainParams, Header, Network};

fn main() {
    let mut comparisons = Comparisons::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec"));
    match recorded() {
        Some(folder) => codec(&mut comparisons, &folder),
        None => eprintln!("SKIPPED: decoding, there is no recorded data"),
    }
    headers(&mut comparisons);
    comparisons.finish();
}

/// Answers of real nodes, which are no part of the project.
fn recorded() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mainnet-2240504");
    path.is_dir().then_some(path)
}

fn codec(comparisons: &mut Comparisons, folder: &Path) {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    for (name, payload) in [
        ("decode mnlistdiff, whole list", read("mnlistdiff_0_2227096.bin")),
        ("decode mnlistdiff, 24 blocks", read("mnlistdiff_2240248_2240272.bin")),
    ] {
        let stream = ("from a stream", || straightforward::diff(&mut &payload[..]));
        comparisons.compare(name, 1, stream, ("ours", || deserialize::<MnListDiff>(&payload).unwrap()));
    }
    let payload = read("qrinfo.bin");
    let stream = ("from a stream", || straightforward::info(&mut &payload[..]));
    comparisons.compare("decode qrinfo", 1, stream, ("ours", || deserialize::<QRInfo>(&payload).unwrap()));
    // The least that a decoder has to do is to read every byte and write it somewhere else.
    let payload = read("mnlistdiff_0_2227096.bin");
    let diff: MnListDiff = deserialize(&payload).unwrap();
    comparisons.compare(
        "encode mnlistdiff, whole list",
        1,
        ("ours", || serialize(&diff)),
        ("copy of the bytes", || payload.clone()),
    );
}

fn headers(comparisons: &mut Comparisons) {
    let genesis = ChainParams::new(Network::Dash).genesis;
    let headers: Vec<Header> = (0..2_000).map(|nonce| Header { nonce, ..genesis }).collect();
    let one_by_one = |headers: &[Header]| headers.iter().map(Header::block_hash).collect::<Vec<_>>();
    let share = headers.len().div_ceil(thread::available_parallelism().map_or(1, usize::from));
    comparisons.compare(
        "X11 of a header",
        headers.len(),
        ("on one core", || one_by_one(&headers)),
        ("on all cores", || {
            thread::scope(|scope| {
                let shares = headers.chunks(share).map(|share| scope.spawn(move || one_by_one(share)));
                let shares: Vec<_> = shares.collect();
                shares.into_iter().map(|share| share.join().unwrap()).collect::<Vec<_>>()
            })
        }),
    );
}
