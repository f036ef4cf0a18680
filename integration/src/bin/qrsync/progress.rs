use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use spv_integration::sync::{LivePeer, PeerState, Phase, Progress, Snapshot};

/// Time between two looks at the peers.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Progress of a sync on stderr: a line for each phase and one for the peers together. Nothing is drawn when stderr is no
/// terminal.
pub(crate) struct Display {
    lines: MultiProgress,
    headers: ProgressBar,
    lists: ProgressBar,
    quorums: ProgressBar,
    peers: ProgressBar,
    details: Details,
}

/// How much is said about peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Details {
    /// All peers on one line.
    Summary,
    /// Beside that, a line for each peer.
    EachPeer,
}

impl Display {
    pub(crate) fn new(details: Details) -> Self {
        let lines = MultiProgress::new();
        let bar = style("{prefix:>8} {bar:30} {pos}/{len} {msg}");
        let line =
            |prefix: &'static str| lines.add(ProgressBar::new(0).with_prefix(prefix).with_style(bar.clone()));
        let (headers, lists, quorums) = (line("headers"), line("lists"), line("quorums"));
        let peers = line("peers").with_style(style("{prefix:>8} {msg}"));
        Self { lines, headers, lists, quorums, peers, details }
    }

    /// Draws until the sync is done. While it waits for a new block, nothing is drawn.
    pub(crate) async fn draw(&self, progress: &Progress) {
        let mut watch = progress.watch();
        if !io::stderr().is_terminal() {
            // Fails when nobody writes the progress any more, which is an end as well.
            watch.wait_for(|state| state.phase == Phase::Done).await.ok();
            return;
        }
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut each_peer = BTreeMap::new();
        loop {
            let look = tokio::select! {
                changed = watch.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => break,
                },
                _ = looks.tick() => true,
            };
            let state = *watch.borrow_and_update();
            match state.phase {
                Phase::Done => break,
                Phase::Following => {
                    self.lines.clear().ok();
                }
                _ => {
                    self.show(&state);
                    if look {
                        self.show_peers(&progress.peers(), &mut each_peer);
                    }
                }
            }
        }
        self.lines.clear().ok();
    }

    /// Prints something else meanwhile.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.lines.suspend(print)
    }

    fn show(&self, state: &Snapshot) {
        self.headers.set_length(u64::from(state.claimed_height.max(state.header_height)));
        self.headers.set_position(u64::from(state.header_height));
        self.lists.set_length(state.planned_lists);
        self.lists.set_position(state.proven_lists);
        let left = state.lists_eta.filter(|left| state.phase == Phase::Lists && !left.is_zero());
        let left = left.map(|left| format!("about {} left", HumanDuration(left))).unwrap_or_default();
        self.lists.set_message(left);
        self.quorums.set_length(state.planned_quorums);
        self.quorums.set_position(state.judged_quorums);
    }

    fn show_peers(&self, peers: &[LivePeer], each_peer: &mut BTreeMap<SocketAddr, ProgressBar>) {
        let ready = peers.iter().filter(|peer| peer.state == PeerState::Ready).count();
        let in_flight: usize = peers.iter().map(|peer| peer.in_flight).sum();
        self.peers.set_message(format!("{ready} of {} ready, {in_flight} requests in flight", peers.len()));
        if self.details == Details::Summary {
            return;
        }
        for peer in peers {
            let line = each_peer
                .entry(peer.peer.address)
                .or_insert_with(|| self.lines.add(ProgressBar::new(0).with_style(style("         {msg}"))));
            line.set_message(describe(peer));
        }
    }
}

fn describe(peer: &LivePeer) -> String {
    let LivePeer { peer: record, state, in_flight, slots, bytes_per_second, .. } = peer;
    let rtt = record.rtt_ms.map(|rtt| format!(", rtt {rtt:.0} ms")).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bytes are enough")]
    let rate = bytes_per_second.map(|rate| format!(", {}/s", HumanBytes(rate as u64))).unwrap_or_default();
    let bad = record.refused + record.failed;
    let bad = if bad > 0 {
        format!(", {} refused, {} failed", record.refused, record.failed)
    } else {
        String::new()
    };
    format!(
        "{}  {}, {in_flight} of {slots} in flight, {} requests{bad}{rtt}{rate}",
        record.address,
        state.as_str(),
        record.requests
    )
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
