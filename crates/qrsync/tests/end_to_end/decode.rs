//! `qrsync decode`, on good files and bad ones.

use std::fs;
use std::path::PathBuf;

use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use serde_json::Value;
use spv_simnet::QRInfoConstruction;
use tempfile::TempDir;

use crate::support::process::{Finished, run};
use crate::support::{generated_world, recorded};

fn list_diff(base: u32, height: u32) -> MnListDiff {
    let world = generated_world();
    let [base_block_hash, block_hash] = [base, height].map(|height| world.block_hash(height).unwrap());
    world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap()
}

fn rotation_info() -> QRInfo {
    let world = generated_world();
    let [genesis, tip] = [0, world.tip()].map(|height| world.block_hash(height).unwrap());
    let request = GetQRInfo { base_block_hashes: vec![genesis], block_request_hash: tip, extra_share: true };
    world.active_chain().qr_info(&request, QRInfoConstruction::Efficient).unwrap()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, payload: &[u8]) -> PathBuf {
        let path = self.0.path().join("payload.bin");
        fs::write(&path, payload).unwrap();
        path
    }

    fn decode(&self, kind: &str, payload: &[u8]) -> Finished {
        let path = self.write(payload);
        run(["decode".as_ref(), kind.as_ref(), path.as_os_str(), "--json".as_ref()])
    }
}

#[track_caller]
fn assert_has_keys(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object.get(key).is_some(), "{key:?} is missing in {object}");
    }
}

#[test]
fn a_list_from_genesis_shows_both_roots_beside_those_of_its_coinbase() {
    let world = generated_world();
    let payload = serialize(&list_diff(0, world.tip()));
    let report = Files::new().decode("mnlistdiff", &payload).json();
    assert_eq!(report["bytes"], payload.len());
    assert_eq!(report["height"], world.tip());
    assert_eq!(report["base_block_hash"], world.block_hash(0).unwrap().to_string());
    assert_eq!(report["block_hash"], world.block_hash(world.tip()).unwrap().to_string());
    assert_eq!(report["masternodes"], list_diff(0, world.tip()).new_masternodes.len());
    for root in ["merkle_root_mn_list", "merkle_root_quorums"] {
        assert_eq!(report[root]["matches"], true);
        assert_eq!(report[root]["computed"], report[root]["coinbase"]);
    }
    let header = world.header(world.tip()).unwrap();
    assert_eq!(report["coinbase_proven_under"], header.merkle_root.to_string());
}

#[test]
fn a_difference_of_lists_has_no_roots_to_compute() {
    let world = generated_world();
    let diff = list_diff(world.tip() - 24, world.tip());
    let report = Files::new().decode("mnlistdiff", &serialize(&diff)).json();
    assert!(report.get("merkle_root_mn_list").is_none());
    assert_eq!(report["deleted_masternodes"], diff.deleted_masternodes.len());
    assert_eq!(report["new_quorums"], diff.new_quorums.len());
}

#[test]
fn a_rotation_info_shows_its_cycles() {
    let info = rotation_info();
    let payload = serialize(&info);
    let report = Files::new().decode("qrinfo", &payload).json();
    assert_eq!(report["bytes"], payload.len());
    let keys = ["mn_list_diff_tip", "mn_list_diff_h", "h_minus_c", "h_minus_2c", "h_minus_3c", "h_minus_4c"];
    assert_has_keys(&report, &keys);
    assert_has_keys(&report, &["last_commitment_per_index", "extra_cycles"]);
    assert_eq!(report["mn_list_diff_h"]["block_hash"], info.mn_list_diff_h.block_hash.to_string());
    assert_eq!(report["extra_cycles"].as_array().unwrap().len(), info.quorum_snapshot_list.len());
    assert_has_keys(&report["h_minus_c"]["snapshot"], &["mode", "masternodes", "used", "skips"]);
}

#[test]
fn without_json_the_report_is_for_people() {
    let files = Files::new();
    let path = files.write(&serialize(&rotation_info()));
    let finished = run(["decode".as_ref(), "qrinfo".as_ref(), path.as_os_str()]);
    assert!(finished.ok().lines().count() > 10);
}

#[test]
fn a_list_that_is_not_its_coinbases_is_well_formed_but_not_verified() {
    let mut diff = list_diff(0, 300);
    diff.new_masternodes[0].is_valid = !diff.new_masternodes[0].is_valid;
    let finished = Files::new().decode("mnlistdiff", &serialize(&diff));
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr().contains("roots"), "{}", finished.stderr());
    let report: Value = serde_json::from_str(finished.stdout()).unwrap();
    assert_eq!(report["merkle_root_mn_list"]["matches"], false);
    assert_eq!(report["merkle_root_quorums"]["matches"], true);
}

#[test]
fn a_coinbase_that_is_not_in_its_block_is_not_verified_wherever_it_stands() {
    let mut diff = list_diff(300, 400);
    diff.coinbase_tx.lock_time ^= 1;
    let finished = Files::new().decode("mnlistdiff", &serialize(&diff));
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr().contains("merkle proof"), "{}", finished.stderr());
    let places: [fn(&mut QRInfo) -> &mut MnListDiff; 3] = [
        |info| &mut info.mn_list_diff_tip,
        |info| &mut info.mn_list_diff_at_h_minus_2c,
        |info| &mut info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.as_mut().unwrap().1,
    ];
    for place in places {
        let mut info = rotation_info();
        let diff = place(&mut info);
        diff.coinbase_tx.extra_payload.truncate(3);
        let named = diff.block_hash.to_string();
        let finished = Files::new().decode("qrinfo", &serialize(&info));
        assert_eq!(finished.code(), Some(1));
        assert!(finished.stderr().contains(&named), "{}", finished.stderr());
    }
}

#[test]
fn a_payload_that_ends_early_says_where_and_in_what() {
    for (kind, payload) in
        [("mnlistdiff", serialize(&list_diff(0, 300))), ("qrinfo", serialize(&rotation_info()))]
    {
        for keep in [0, 1, 40, payload.len() / 2, payload.len() - 1] {
            let finished = Files::new().decode(kind, &payload[..keep]);
            finished.fails(1, &["at byte", " in ", kind, "payload.bin"]);
        }
    }
}

#[test]
fn a_payload_that_goes_on_says_where_it_should_have_ended() {
    for (kind, mut payload) in
        [("mnlistdiff", serialize(&list_diff(0, 300))), ("qrinfo", serialize(&rotation_info()))]
    {
        let end = format!("at byte {}", payload.len());
        payload.push(0);
        Files::new().decode(kind, &payload).fails(1, &["1 trailing byte", &end, kind]);
    }
}

/// The number of hashes in the coinbase proof comes after the version, two hashes and the number of transactions.
#[test]
fn a_length_beyond_the_payload_says_where_it_stands() {
    let mut payload = serialize(&list_diff(0, 300));
    payload.splice(70..71, [0xfe, 0xff, 0xff, 0xff, 0x7f]);
    let finished = Files::new().decode("mnlistdiff", &payload);
    finished.fails(1, &["length 2147483647", "erkle", "at byte 70", "payload.bin"]);
}

#[test]
fn a_whole_frame_is_told_from_a_payload() {
    let mut frame = vec![0xfc, 0xc1, 0xb7, 0xdc];
    frame.extend(b"mnlistdiff\0\0");
    frame.extend([0; 8]);
    frame.extend(serialize(&list_diff(0, 300)));
    Files::new().decode("mnlistdiff", &frame).fails(1, &["24-byte frame"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    run(["decode", "qrinfo", "/nonexistent/file"]).fails(1, &["/nonexistent/file", "No such file"]);
    run(["decode", "qrinfo", "/"]).fails(1, &["cannot read /", "irectory"]);
}

#[test]
fn only_known_messages_can_be_decoded() {
    run(["decode", "headers", "file"]).is_usage_error(&["qrinfo", "mnlistdiff"]);
    run(["decode", "qrinfo"]).is_usage_error(&["FILE"]);
}

#[test]
fn recorded_answers_of_mainnet_are_read() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    let payload = file("mnlistdiff_0_2227096.bin");
    let report = Files::new().decode("mnlistdiff", &payload).json();
    assert_eq!((&report["bytes"], &report["height"]), (&payload.len().into(), &2_227_096.into()));
    assert_eq!(report["merkle_root_mn_list"]["matches"], true);
    assert_eq!(report["merkle_root_quorums"]["matches"], true);
    let payload = file("qrinfo.bin");
    let report = Files::new().decode("qrinfo", &payload).json();
    let tip = deserialize::<QRInfo>(&payload).unwrap().mn_list_diff_tip.block_hash;
    assert_eq!(report["mn_list_diff_tip"]["block_hash"], tip.to_string());
}
