//! The end of a sync is true also where answers are verified on threads, as in the product, and not in virtual time.

use std::thread;

use simulation::{run_with_threads, scenario};
use spv_integration::session::EndState;

#[test]
fn liars_change_nothing_where_threads_verify() {
    let run = |name| {
        let summary = run_with_threads(scenario(name).unwrap(), 1)
            .unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert_eq!(summary.state, EndState::Synced, "{name}");
    };
    // They spend their time on waiting for nodes.
    thread::scope(|scope| {
        for name in ["two-lie", "forgers", "truncaters", "most-lie", "junk-on-top", "third-fails"] {
            scope.spawn(move || run(name));
        }
    });
}

#[test]
fn liars_alone_are_not_believed_where_threads_verify() {
    let summary = run_with_threads(scenario("all-lie").unwrap(), 0).unwrap();
    assert!(matches!(summary.state, EndState::Unverifiable { .. }), "{:?}", summary.state);
    assert_eq!(summary.lists.verified, 0);
}
