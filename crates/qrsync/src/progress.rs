use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use spv_integration::Counted;
use spv_integration::discovery::Standing;
use spv_integration::fleet::LivePeer;
use spv_integration::progress::{Phase, Progress, Snapshot};

/// Time between two looks at the peers.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Progress of a sync on stderr: a line for the peers together, and one for each phase that has begun. Nothing is drawn
/// when stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Display {
    lines: MultiProgress,
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
    pub(crate) fn new(lines: MultiProgress, details: Details) -> Self {
        Self { lines, details }
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
        let mut drawn = Drawn::new(self.lines.clone());
        loop {
            let look = tokio::select! {
                changed = watch.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                _ = looks.tick() => true,
            };
            let state = *watch.borrow_and_update();
            match state.phase {
                Phase::Done => return,
                Phase::Following => drawn.clear(),
                _ => {
                    drawn.show(&state);
                    if look {
                        drawn.show_peers(&progress.peers(), self.details);
                    }
                }
            }
        }
    }

    /// Prints something else meanwhile.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.lines.suspend(print)
    }
}

/// What is on the terminal; dropped, nothing of it is left.
struct Drawn {
    lines: MultiProgress,
    /// In order of their places.
    fixed: BTreeMap<Line, ProgressBar>,
    each_peer: BTreeMap<SocketAddr, ProgressBar>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Peers,
    Headers,
    Lists,
    Quorums,
}

/// How many headers come in a second, and how long the rest takes; nothing outside of their phase.
fn pace_of_headers(headers: &ProgressBar, phase: Phase) -> String {
    let (per_second, left) = (headers.per_sec(), headers.eta());
    if phase != Phase::Headers || per_second < 1.0 {
        return String::new();
    }
    let left = if left.is_zero() { String::new() } else { format!(", about {} left", HumanDuration(left)) };
    format!("{per_second:.0} a second{left}")
}

impl Drawn {
    fn new(lines: MultiProgress) -> Self {
        Self { lines, fixed: BTreeMap::new(), each_peer: BTreeMap::new() }
    }

    fn show(&mut self, state: &Snapshot) {
        let height = u64::from(state.header_height);
        let is_new = !self.fixed.contains_key(&Line::Headers);
        if let Some(headers) = self.bar(Line::Headers, height, u64::from(state.claimed_height).max(height)) {
            if is_new {
                // What was there before is no pace.
                headers.reset_eta();
            }
            headers.set_message(pace_of_headers(headers, state.phase));
        }
        if let Some(lists) = self.bar(Line::Lists, state.proven_lists, state.planned_lists) {
            let left = state.lists_eta.filter(|left| state.phase == Phase::Lists && !left.is_zero());
            let left = left.map(|left| format!("about {} left", HumanDuration(left))).unwrap_or_default();
            lists.set_message(left);
        }
        self.bar(Line::Quorums, state.judged_quorums, state.planned_quorums);
    }

    fn show_peers(&mut self, peers: &[LivePeer], details: Details) {
        let ready = peers.iter().filter(|peer| peer.standing == Standing::Ready).count();
        let in_flight: usize = peers.iter().map(|peer| peer.in_flight).sum();
        let line = self.line(Line::Peers);
        line.set_message(format!("{ready} of {} ready, {in_flight} requests in flight", peers.len()));
        for peer in peers.iter().filter(|_| details == Details::EachPeer) {
            let line = self
                .each_peer
                .entry(peer.peer.address)
                .or_insert_with(|| self.lines.add(ProgressBar::new(0)).with_style(style("         {msg}")));
            line.set_message(describe(peer));
        }
    }

    /// The line of a phase, once there is something to do.
    fn bar(&mut self, line: Line, done: u64, planned: u64) -> Option<&ProgressBar> {
        (planned > 0).then(|| {
            let bar = self.line(line);
            bar.set_length(planned);
            bar.set_position(done);
            bar
        })
    }

    fn line(&mut self, line: Line) -> &ProgressBar {
        let place = self.fixed.range(..line).count();
        self.fixed.entry(line).or_insert_with(|| {
            let (prefix, template) = match line {
                Line::Peers => ("peers", "{prefix:>8} {msg}"),
                Line::Headers => ("headers", BAR),
                Line::Lists => ("lists", BAR),
                Line::Quorums => ("quorums", BAR),
            };
            let bar = self.lines.insert(place, ProgressBar::new(0));
            bar.with_style(style(template)).with_prefix(prefix)
        })
    }

    fn clear(&mut self) {
        let fixed = std::mem::take(&mut self.fixed);
        let each_peer = std::mem::take(&mut self.each_peer);
        // Otherwise each would stay as it was when it is dropped.
        fixed.into_values().chain(each_peer.into_values()).for_each(|line| line.finish_and_clear());
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.clear();
    }
}

fn describe(peer: &LivePeer) -> String {
    let LivePeer { peer: record, standing, in_flight, slots, bytes_per_second, .. } = peer;
    let rtt = record.rtt_ms.map(|rtt| format!(", rtt {rtt:.0} ms")).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bytes are enough")]
    let rate = bytes_per_second.map(|rate| format!(", {}/s", HumanBytes(rate as u64))).unwrap_or_default();
    let bad = if record.refused + record.failed > 0 {
        format!(", {} refused, {} failed", record.refused, record.failed)
    } else {
        String::new()
    };
    format!(
        "{}  {standing}, {in_flight} of {slots} in flight, {}{bad}{rtt}{rate}",
        record.address,
        Counted(record.requests, "request"),
    )
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

const BAR: &str = "{prefix:>8} {bar:30} {pos}/{len} {msg}";
