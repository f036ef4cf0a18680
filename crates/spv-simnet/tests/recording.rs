//! What a simulated node answers is, byte for byte, what a real one answered.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails; one that is skipped says so"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use spv_simnet::{QRInfoConstruction, Refusal, World, WorldError};

fn data() -> Option<PathBuf> {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/regtest-862"));
    if dir.is_dir() {
        return Some(dir.to_owned());
    }
    assert!(std::env::var_os("CI").is_none(), "the recorded chain {} is missing", dir.display());
    println!("SKIPPED: the recorded chain {} is not there", dir.display());
    None
}

fn records(file: &Path) -> Vec<(u32, Vec<u8>)> {
    let data = fs::read(file).unwrap();
    let mut rest = &data[..];
    let mut records = Vec::new();
    while let Some((height, after)) = rest.split_first_chunk() {
        let (length, after) = after.split_first_chunk().unwrap();
        let (payload, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        records.push((u32::from_le_bytes(*height), payload.to_vec()));
        rest = after;
    }
    records
}

#[test]
fn every_diff_from_genesis_is_the_recorded_one() {
    let Some(dir) = data() else { return };
    let chain = Arc::new(World::load(&dir).unwrap()).active_chain();
    let genesis = chain.world().block_hash(0).unwrap();
    let records = records(&dir.join("mnlistdiff-from-genesis.bin"));
    assert_eq!(records.len(), 862);
    for (height, recorded) in records {
        let block_hash = chain.world().block_hash(height).unwrap();
        let request = GetMnListDiff { base_block_hash: genesis, block_hash };
        assert_eq!(serialize(&chain.mn_list_diff(&request).unwrap()), recorded, "height {height}");
        let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
        let diff = chain.mn_list_diff(&request).unwrap();
        assert!(diff.base_block_hash.is_null(), "a zero base stays zero");
        let recorded = deserialize::<MnListDiff>(&recorded).unwrap();
        assert_eq!(MnListDiff { base_block_hash: genesis, ..diff }, recorded);
    }
}

#[test]
fn every_rotation_info_from_genesis_is_the_recorded_one() {
    let Some(dir) = data() else { return };
    let chain = Arc::new(World::load(&dir).unwrap()).active_chain();
    let genesis = chain.world().block_hash(0).unwrap();
    let records = records(&dir.join("qrinfo-from-genesis.bin"));
    assert_eq!(records.len(), 25);
    for (height, recorded) in records {
        let block_request_hash = chain.world().block_hash(height).unwrap();
        for base_block_hashes in [vec![genesis], vec![]] {
            let request = GetQRInfo { base_block_hashes, block_request_hash, extra_share: true };
            let answer = chain.qr_info(&request, QRInfoConstruction::Efficient).unwrap();
            assert_eq!(serialize(&answer), recorded, "height {height}");
        }
    }
}

#[test]
fn rotation_info_is_refused_where_the_real_node_refused() {
    let Some(dir) = data() else { return };
    let chain = Arc::new(World::load(&dir).unwrap()).active_chain();
    for height in (23..=263).step_by(24) {
        let request = GetQRInfo {
            base_block_hashes: vec![chain.world().block_hash(0).unwrap()],
            block_request_hash: chain.world().block_hash(height).unwrap(),
            extra_share: true,
        };
        let refusal = chain.qr_info(&request, QRInfoConstruction::Efficient).unwrap_err();
        assert!(
            matches!(refusal, Refusal::TooEarly { .. } | Refusal::NoSnapshot { .. }),
            "height {height}: {refusal}"
        );
    }
}

#[test]
fn a_damaged_recording_says_where() {
    let Some(dir) = data() else { return };
    let damaged = std::env::temp_dir().join(format!("spv-simnet-damaged-{}", std::process::id()));
    fs::create_dir_all(&damaged).unwrap();
    let files = ["manifest.json", "headers.bin", "mnlistdiff-from-genesis.bin", "qrinfo-from-genesis.bin"];
    let restore = || {
        files
            .iter()
            .for_each(|name| fs::write(damaged.join(name), fs::read(dir.join(name)).unwrap()).unwrap())
    };
    let damage = |name: &str, change: fn(&mut Vec<u8>)| {
        restore();
        let mut bytes = fs::read(dir.join(name)).unwrap();
        change(&mut bytes);
        fs::write(damaged.join(name), bytes).unwrap();
        World::load(&damaged).unwrap_err()
    };

    let error = damage("headers.bin", |bytes| bytes.truncate(805));
    assert!(matches!(error, WorldError::Truncated { offset: 800, .. }), "{error}");
    let error = damage("headers.bin", |bytes| bytes[80 * 7 + 20] ^= 1);
    assert_eq!(
        error.to_string(),
        format!(
            "the header of height 7 does not follow its predecessor, at byte 560 of {}",
            damaged.join("headers.bin").display()
        )
    );
    let error = damage("manifest.json", |bytes| bytes[0] = b'[');
    assert!(matches!(error, WorldError::Manifest { .. }), "{error}");
    let error = damage("mnlistdiff-from-genesis.bin", |bytes| bytes[8] = 9);
    assert!(matches!(error, WorldError::Decode { offset: 8, height: 1, .. }), "{error}");
    let error = damage("mnlistdiff-from-genesis.bin", |bytes| bytes[0] = 9);
    assert!(
        error.to_string().starts_with("a record of height 1 should be here, not one of height 9"),
        "{error}"
    );
    let error = damage("qrinfo-from-genesis.bin", |bytes| bytes.truncate(20));
    assert!(matches!(error, WorldError::Truncated { offset: 0, .. }), "{error}");
    restore();
    fs::remove_file(damaged.join("headers.bin")).unwrap();
    assert!(matches!(World::load(&damaged).unwrap_err(), WorldError::Read { .. }));
    fs::remove_dir_all(&damaged).unwrap();
}
