//! Bytes of real nodes, decoded to the last one and written again. They are no part of the project: where they are
//! absent, these tests say so and pass, except on CI, where they have to be there.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![allow(clippy::print_stderr, reason = "a skipped test has to be seen")]

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use dashcore::consensus::{Decodable, Encodable, deserialize, serialize};
use dashcore::network::message_headers2::{CompressedHeaders, Headers2Message, MAX_HEADERS2};
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use dashcore::{ChainParams, Header, Network};
use serde_json::Value;

fn recorded() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the recorded data {} is missing", path.display());
    eprintln!("SKIPPED: no recorded data at {}", path.display());
    None
}

#[track_caller]
fn round_trip<T: Decodable + Encodable + Debug>(payload: &[u8], name: &str) -> T {
    let decoded: T = deserialize(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(serialize(&decoded) == payload, "{name} is written in another way");
    decoded
}

/// Decodes every record of height, length and payload; gives their heights.
fn round_trip_records<T: Decodable + Encodable + Debug>(path: &Path) -> Vec<u32> {
    let bytes = fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut heights = Vec::new();
    while let Some((height, after)) = rest.split_first_chunk() {
        let (length, after) = after.split_first_chunk().unwrap();
        let (payload, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        heights.push(u32::from_le_bytes(*height));
        round_trip::<T>(payload, &format!("{} at {}", path.display(), heights[heights.len() - 1]));
        rest = after;
    }
    assert!(rest.is_empty());
    heights
}

#[test]
fn the_regtest_chain() {
    let Some(folder) = recorded().map(|data| data.join("regtest-862")) else { return };
    let headers = fs::read(folder.join("headers.bin")).unwrap();
    assert_eq!(headers.len(), 863 * Header::SIZE);
    let mut previous = None;
    for bytes in headers.chunks(Header::SIZE) {
        let header: Header = round_trip(bytes, "headers.bin");
        let hash = header.block_hash();
        assert!(header.meets_target(hash));
        match previous {
            Some(previous) => assert_eq!(header.prev_blockhash, previous),
            None => assert_eq!(hash, ChainParams::new(Network::Regtest).genesis_hash),
        }
        previous = Some(hash);
    }
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["tipHash"], previous.unwrap().to_string());

    let diffs = round_trip_records::<MnListDiff>(&folder.join("mnlistdiff-from-genesis.bin"));
    assert_eq!(diffs, (1..=862).collect::<Vec<_>>());
    let infos = round_trip_records::<QRInfo>(&folder.join("qrinfo-from-genesis.bin"));
    assert_eq!(infos, (287..862).step_by(24).chain([862]).collect::<Vec<_>>());
}

#[test]
fn answers_of_mainnet() {
    let Some(folder) = recorded().map(|data| data.join("mainnet-2240504")) else { return };
    let mut decoded = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let read = || fs::read(&path).unwrap();
        if name.starts_with("mnlistdiff_") {
            let diff: MnListDiff = round_trip(&read(), name);
            assert_eq!(MnListDiff::peek(&read()).unwrap().block_hash, diff.block_hash);
        } else if name == "qrinfo.bin" {
            let info: QRInfo = round_trip(&read(), name);
            assert_eq!(QRInfo::peek_work_block(&read()).unwrap(), info.mn_list_diff_h.block_hash);
        } else {
            assert_eq!(name, "heights.json");
            continue;
        }
        decoded += 1;
    }
    assert_eq!(decoded, 33);
}

/// What a node answers to `getheaders2` with this chain, its length, and the headers again.
fn assert_compressed(headers: &[u8], length: usize) {
    let headers: Vec<Header> =
        headers.chunks(Header::SIZE).map(|bytes| round_trip(bytes, "recorded headers")).collect();
    let payload = Headers2Message::encode_chain(&headers);
    assert_eq!(payload.len(), length);
    assert_eq!(payload, serialize(&Headers2Message(headers.clone())));
    let decoded = CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap();
    assert!(decoded.into_hashed().eq(headers.iter().map(|header| (*header, header.block_hash()))));
}

#[test]
fn recorded_headers_in_compressed_form() {
    let Some(data) = recorded() else { return };
    let regtest = fs::read(data.join("regtest-862/headers.bin")).unwrap();
    assert_compressed(&regtest[Header::SIZE..522 * Header::SIZE], 20_368);
    for (name, length) in [("mainnet-999900", 86_041), ("testnet-10000", 21_541)] {
        assert_compressed(&fs::read(data.join(format!("real-headers/{name}.bin"))).unwrap(), length);
    }
}

#[test]
fn checkpoints_are_the_recorded_blocks() {
    let Some(data) = recorded() else { return };
    let recorded: Value = serde_json::from_slice(&fs::read(data.join("checkpoints.json")).unwrap()).unwrap();
    for (name, network) in [("mainnet", Network::Dash), ("testnet", Network::Testnet)] {
        let params = ChainParams::new(network);
        let blocks = recorded[name].as_array().unwrap();
        for block in blocks {
            let header = hex_conservative::decode_to_vec(block["header"].as_str().unwrap()).unwrap();
            let header: Header = round_trip(&header, "checkpoints.json");
            assert_eq!(block["hash"], header.block_hash().to_string());
            assert_eq!(block["prev"], header.prev_blockhash.to_string());
            assert_eq!(block["merkleRoot"], header.merkle_root.to_string());
            assert_eq!(block["bits"], format!("{:#010x}", header.bits));
            let numbers = [header.time, header.nonce];
            assert_eq!([&block["time"], &block["nonce"]], numbers.map(Value::from).each_ref());
            let height = block["height"].as_u64().unwrap();
            if height == 0 {
                assert_eq!(header, params.genesis);
                continue;
            }
            let known = params.checkpoint_at(u32::try_from(height).unwrap()).unwrap();
            assert_eq!((known.header, known.hash), (Some(header), header.block_hash()));
            assert_eq!(block["chainwork"], format!("{:#066x}", known.chain_work));
        }
        assert!(params.checkpoints.iter().filter(|known| known.header.is_some()).count() <= blocks.len());
    }
}

#[test]
fn recorded_values_of_the_networks() {
    let Some(data) = recorded() else { return };
    let values: Value = serde_json::from_slice(&fs::read(data.join("vectors.json")).unwrap()).unwrap();
    for (name, network) in [("main", Network::Dash), ("test", Network::Testnet)] {
        let params = ChainParams::new(network);
        let work = values["minimum_chain_work"][name]["work"].as_str().unwrap();
        assert!(format!("{:#066x}", params.minimum_chain_work).ends_with(&format!("0{work}")));
    }
    let params = ChainParams::new(Network::Dash);
    for block in values["checkpoints_mainnet_by_hash_alone"].as_array().unwrap() {
        let height = u32::try_from(block["height"].as_u64().unwrap()).unwrap();
        assert_eq!(block["hash"], params.checkpoint_at(height).unwrap().hash.to_string());
    }
}
