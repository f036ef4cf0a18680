//! A generated world of mainnet's size answers with as many bytes as mainnet does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use dashcore::consensus::serialize;
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use spv_simnet::{ActiveChain, GeneratedSpec, QRInfoConstruction, World};

/// As many masternodes as mainnet had when its answers were recorded, over a little more than 12,096 blocks.
static CHAIN: LazyLock<ActiveChain> = LazyLock::new(|| {
    let spec = GeneratedSpec {
        masternodes: 3_147,
        cycles: 43,
        seed: 7,
        signatures: false,
        ..GeneratedSpec::DEFAULT
    };
    Arc::new(World::generate(&spec)).active_chain()
});

fn diff(base: u32, block: u32) -> MnListDiff {
    let hash = |height| CHAIN.world().block_hash(height).unwrap();
    CHAIN.mn_list_diff(&GetMnListDiff { base_block_hash: hash(base), block_hash: hash(block) }).unwrap()
}

/// Mainnet's recorded size, and how far the generated one may be from it, in percent.
fn near(recorded: usize, percent: usize) -> RangeInclusive<usize> {
    recorded * (100 - percent) / 100..=recorded * (100 + percent) / 100
}

#[test]
fn the_full_list_has_mainnet_s_size_and_mixture() {
    let full = diff(0, CHAIN.tip());
    assert!(near(523_465, 3).contains(&serialize(&full).len()), "{}", serialize(&full).len());
    let entries = &full.new_masternodes;
    let evo = entries.iter().filter(|entry| entry.is_evo()).count();
    let valid = entries.iter().filter(|entry| entry.is_valid).count();
    assert!(near(309, 10).contains(&evo), "{evo} EvoNodes");
    assert!(near(2_305, 5).contains(&valid), "{valid} enabled");
    let mut kinds: BTreeMap<u8, usize> = BTreeMap::new();
    for quorum in &full.new_quorums {
        *kinds.entry(quorum.llmq_type.0).or_default() += 1;
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!((22..=24).contains(&kinds[&1]), "{kinds:?}");
    assert_eq!((kinds[&2], kinds[&3], kinds[&4], kinds[&5]), (4, 4, 24, 32));
}

#[test]
fn diffs_have_mainnet_s_sizes() {
    let size = |base, block| serialize(&diff(base, block)).len();
    let far = size(1_500, 1_500 + 12_096);
    assert!(near(49_499, 10).contains(&far), "{far} bytes over 12,096 blocks");
    // Those of 24 blocks as they follow each other. One in twelve has 32 rotated quorums.
    let mut steps: Vec<usize> = (1_440..13_000).step_by(24).map(|base| size(base, base + 24)).collect();
    steps.sort_unstable();
    let median = steps[steps.len() / 2];
    assert!(near(1_114, 15).contains(&median), "median {median} bytes over 24 blocks");
    let with_rotation = &steps[steps.len() * 15 / 16..];
    assert!(with_rotation.iter().all(|size| near(13_000, 25).contains(size)), "{with_rotation:?}");
    let cycle = size(1_440 + 5 * 288 - 8, 1_440 + 6 * 288 - 8);
    assert!(near(19_163, 15).contains(&cycle), "{cycle} bytes over 288 blocks");
}

#[test]
fn rotation_info_has_mainnet_s_size() {
    let hash = |height| CHAIN.world().block_hash(height).unwrap();
    let cycle = 1_440 + 20 * 288;
    let request = GetQRInfo {
        base_block_hashes: vec![hash(cycle - 4 * 288 - 8), hash(CHAIN.tip())],
        block_request_hash: hash(cycle),
        extra_share: true,
    };
    let info = CHAIN.qr_info(&request, QRInfoConstruction::Efficient).unwrap();
    let snapshot = &info.quorum_snapshot_at_h_minus_c;
    assert_eq!(
        snapshot.active_quorum_members.len(),
        diff(0, cycle - 288 - 8).new_masternodes.len(),
        "one bit per masternode"
    );
    // Three cycles' 480 members, some of them in several quorums.
    let used = snapshot.active_quorum_members.count_ones();
    assert!((700..=1_440).contains(&used), "{used} used masternodes");
    let bytes = serialize(&info).len();
    assert!((60_000..=140_000).contains(&bytes), "{bytes} bytes");
}
