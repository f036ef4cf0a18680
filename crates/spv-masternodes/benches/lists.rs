//! From bytes to proven lists.
//!
//! `cargo bench -p spv-masternodes --bench lists`, or with `-- --test` to run each once.
#![allow(clippy::unwrap_used, reason = "the input is known to be right")]
#![allow(clippy::print_stderr, reason = "missing input has to be seen")]

#[path = "../../dashcore/benches/comparison/mod.rs"]
mod comparison;
#[allow(unreachable_pub, reason = "the benchmark is a crate of its own")]
mod input;
#[path = "../../dashcore/benches/straightforward/mod.rs"]
mod straightforward;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use comparison::Comparisons;
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use input::{Answer, Input};
use spv_masternodes::ProvenState;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mainnet-2240504");
    let input = if folder.is_dir() {
        Input::recorded(&folder)
    } else {
        eprintln!("GENERATED: there is no recorded data, so the input is made up");
        Input::generated()
    };
    let mut comparisons = Comparisons::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("lists"));
    whole_list(&mut comparisons, &input);
    following_diff(&mut comparisons, &input);
    roots(&mut comparisons, &input);
    changed_roots(&mut comparisons, &input);
    comparisons.finish();
}

fn whole_list(comparisons: &mut Comparisons, Input { genesis, whole, .. }: &Input) {
    let plain = || straightforward::State::default().advance(straightforward::diff(&mut &whole.payload[..]));
    same(&whole.advance(genesis), &plain());
    let all = "whole list, decode, apply, both roots";
    comparisons.compare(all, 1, ("straightforward", plain), ("ours", || whole.advance(genesis)));

    // Where the time goes.
    let (diff, checked) = (whole.decode(), whole.check().unwrap());
    comparisons.compare(
        "whole list, decode, then check",
        1,
        ("decode and check", || whole.check().unwrap()),
        ("decode", || whole.decode()),
    );
    comparisons.compare(
        "whole list, the hash of every entry",
        1,
        ("hashes", || diff.new_masternodes.iter().map(MasternodeListEntry::entry_hash).collect::<Vec<_>>()),
        ("apply and root", || genesis.advance(&checked).unwrap()),
    );
}

fn following_diff(comparisons: &mut Comparisons, input: &Input) {
    let mut steps: Vec<(ProvenState, straightforward::State, &Answer)> = Vec::new();
    let mut state = input.whole.advance(&input.genesis);
    let mut plain =
        straightforward::State::default().advance(straightforward::diff(&mut &input.whole.payload[..])).0;
    for answer in &input.next {
        let next = answer.advance(&state);
        let next_plain = plain.advance(straightforward::diff(&mut &answer.payload[..]));
        same(&next, &next_plain);
        if answer.height - state.height() == 24 {
            steps.push((state, plain, answer));
        }
        (state, plain) = (next, next_plain.0);
    }
    let straightforward = || {
        let advance = |(_, state, answer): &(_, straightforward::State, &Answer)| {
            state.advance(straightforward::diff(&mut &answer.payload[..]))
        };
        steps.iter().map(advance).collect::<Vec<_>>()
    };
    let ours = || steps.iter().map(|(state, _, answer)| answer.advance(state)).collect::<Vec<_>>();
    let all = "24-block diff, decode, apply, both roots";
    comparisons.compare(all, steps.len(), ("straightforward", straightforward), ("ours", ours));

    let checked: Vec<_> = steps.iter().map(|(state, _, answer)| (state, answer.check().unwrap())).collect();
    comparisons.compare(
        "24-block diff, check, then apply",
        steps.len(),
        ("decode and check", || {
            steps.iter().map(|(_, _, answer)| answer.check().unwrap()).collect::<Vec<_>>()
        }),
        ("apply and roots", || {
            checked.iter().map(|(state, checked)| state.advance(checked).unwrap()).collect::<Vec<_>>()
        }),
    );
}

fn roots(comparisons: &mut Comparisons, Input { genesis, whole, .. }: &Input) {
    let state = whole.advance(genesis);
    let leaves: Vec<_> = state.masternodes().iter().map(MasternodeListEntry::entry_hash).collect();
    comparisons.compare(
        "list root from leaves",
        1,
        ("straightforward", || straightforward::merkle_root(leaves.clone())),
        ("ours", || merkle_root(leaves.clone()).unwrap()),
    );
    let mut quorums: Vec<_> = state.quorums().iter().map(|quorum| quorum.entry_hash).collect();
    quorums.sort_unstable();
    comparisons.compare(
        "quorum root from leaves",
        1,
        ("straightforward", || straightforward::merkle_root(quorums.clone())),
        ("ours", || merkle_root(quorums.clone()).unwrap()),
    );
}

/// Both roots after a small change: by hashing whole trees from leaves that are there, and by what the change touches.
fn changed_roots(comparisons: &mut Comparisons, input: &Input) {
    let mut state = input.whole.advance(&input.genesis);
    let (mut changes, mut moves) = (Vec::new(), Vec::new());
    for answer in &input.next {
        let checked = answer.check().unwrap();
        let next = state.advance(&checked).unwrap();
        let (before, after) = (state.masternodes(), next.masternodes());
        if before.len() != after.len() {
            moves.push((state.clone(), checked));
        } else if before.merkle_root() != after.merkle_root() {
            changes.push((state.clone(), checked));
        }
        state = next;
    }
    let leaves: Vec<_> = state.masternodes().iter().map(MasternodeListEntry::entry_hash).collect();
    let quorums: Vec<_> = state.quorums().iter().map(|quorum| quorum.entry_hash).collect();
    let whole = || (merkle_root(leaves.clone()), merkle_root(quorums.clone()));
    let kinds = [("both roots, some masternodes change", changes), ("both roots, some come or go", moves)];
    for (name, steps) in kinds {
        comparisons.compare(
            name,
            steps.len(),
            ("whole trees", || steps.iter().map(|_| whole()).collect::<Vec<_>>()),
            ("apply", || {
                let advance = |(state, checked): &(ProvenState, _)| state.advance(checked).unwrap();
                steps.iter().map(advance).collect::<Vec<_>>()
            }),
        );
    }
}

fn same(ours: &ProvenState, (_, list, quorums): &(straightforward::State, [u8; 32], [u8; 32])) {
    assert_eq!(ours.masternodes().merkle_root().as_byte_array(), list);
    assert_eq!(ours.quorums().merkle_root().as_byte_array(), quorums);
}
