//! The progress of a sync on a terminal.

mod line;
mod overall;
mod pace;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use spv_integration::discovery::Standing;
use spv_integration::fleet::LivePeer;
use spv_integration::progress::{Phase, Progress};
use spv_integration::{counted, progress};
use tokio::time::Instant;

use crate::live::{AtTip, Live};
use crate::output::bad_on_stderr;
use overall::Overall;

/// Time between two looks at a sync.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Columns of a terminal that does not tell.
const USUAL_COLUMNS: u16 = 80;

/// Progress of a sync on stderr: a line for all of it, and one for each peer where they are asked for. Nothing is drawn
/// when stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Display {
    lines: MultiProgress,
    details: Details,
    label: &'static str,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Details {
    /// Nothing.
    Nothing,
    /// One line.
    Summary,
    /// Beside that, a line for each peer.
    EachPeer,
}

impl Display {
    pub(crate) fn new(lines: MultiProgress, details: Details) -> Self {
        let details = if io::stderr().is_terminal() { details } else { Details::Nothing };
        Self { lines, details, label: "" }
    }

    /// The same, which says which of several runs this is.
    pub(crate) fn labelled(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    /// Draws until the sync is done; what a follower has reached, too, where `live` knows it.
    pub(crate) async fn draw(&self, progress: &Progress, live: Option<&Live>) {
        let mut watch = progress.watch();
        let done = |state: &progress::Snapshot| state.phase == Phase::Done;
        if self.details == Details::Nothing {
            // Fails when nobody writes the progress any more, which is an end as well.
            watch.wait_for(done).await.ok();
            return;
        }
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut drawn = Drawn::new(self.lines.clone());
        let mut overall = Overall::new(Instant::now());
        loop {
            tokio::select! {
                ended = watch.wait_for(done) => {
                    ended.ok();
                    return;
                }
                _ = looks.tick() => {}
            }
            let state = *watch.borrow_and_update();
            let peers = progress.peers();
            let at_tip = live.and_then(Live::at_tip);
            let columns = columns();
            drawn.show(match at_tip {
                Some(at_tip) => {
                    overall = Overall::new(Instant::now());
                    following(&at_tip, &state, &peers, columns)
                }
                None => {
                    let view = overall.view(Instant::now(), &state);
                    line::of_sync(&view, self.label, &asked(&peers), columns)
                }
            });
            if self.details == Details::EachPeer {
                drawn.show_peers(&peers, columns);
            }
        }
    }

    /// Draws how long something takes that does not say how far it is, beside as many words about it as there is room for.
    pub(crate) async fn wait_for<T>(&self, what: &[String], work: impl Future<Output = T>) -> T {
        if self.details == Details::Nothing {
            return work.await;
        }
        let (began, mut looks) = (Instant::now(), tokio::time::interval(LOOK_INTERVAL));
        let mut drawn = Drawn::new(self.lines.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = looks.tick() => {
                    let parts = [what, &[line::clock(began.elapsed())]].concat();
                    drawn.show(line::of_parts(&parts, columns()));
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
    first: Option<ProgressBar>,
    each_peer: BTreeMap<SocketAddr, ProgressBar>,
}

impl Drawn {
    fn new(lines: MultiProgress) -> Self {
        Self { lines, first: None, each_peer: BTreeMap::new() }
    }

    fn show(&mut self, text: String) {
        self.first.get_or_insert_with(|| self.lines.insert(0, blank())).set_message(text);
    }

    fn show_peers(&mut self, peers: &[LivePeer], columns: usize) {
        self.each_peer.retain(|address, line| {
            let is_there = peers.iter().any(|peer| peer.peer.address == *address);
            if !is_there {
                line.finish_and_clear();
                self.lines.remove(line);
            }
            is_there
        });
        for peer in peers {
            let line = self.each_peer.entry(peer.peer.address).or_insert_with(|| self.lines.add(blank()));
            line.set_message(line::of_parts(&describe(peer), columns));
        }
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let each_peer = std::mem::take(&mut self.each_peer);
        // Otherwise each would stay as it was when it is dropped.
        for line in self.first.take().into_iter().chain(each_peer.into_values()) {
            line.finish_and_clear();
            self.lines.remove(&line);
        }
    }
}

/// How many peers can be asked.
fn asked(peers: &[LivePeer]) -> String {
    let ready = peers.iter().filter(|peer| peer.standing == Standing::Ready).count();
    if peers.is_empty() { String::new() } else { format!("{ready} of {}", counted(peers.len(), "peer")) }
}

fn following(at_tip: &AtTip, state: &progress::Snapshot, peers: &[LivePeer], columns: usize) -> String {
    let AtTip { height, age, locked, not_ready } = at_tip;
    let height = format!("height {}", line::grouped((*height).into()));
    if let Some(reason) = not_ready {
        let reason = format!("{height}, not ready: {reason}");
        return bad_on_stderr(&console::truncate_str(&reason, columns, "…"));
    }
    let doing = match state.phase {
        Phase::Headers | Phase::Lists | Phase::Quorums => "checking a new block",
        Phase::Connecting => "connecting",
        Phase::Following | Phase::Done => "waiting for the next block",
    };
    let is_alone = peers.iter().all(|peer| peer.standing != Standing::Ready);
    let parts = [
        height,
        format!("{} old", line::clock(*age)),
        if is_alone { "no usable peer".to_owned() } else { asked(peers) },
        locked.map(|height| format!("locked {}", line::grouped(height.into()))).unwrap_or_default(),
        doing.to_owned(),
    ];
    let text = line::of_parts(&parts, columns);
    if is_alone { bad_on_stderr(&text) } else { text }
}

/// Parts of a peer's line, from what matters most.
fn describe(peer: &LivePeer) -> [String; 6] {
    let LivePeer { peer: record, standing, in_flight, slots, bytes_per_second, .. } = peer;
    let trouble = record.refused + record.failed;
    let address = format!("  {}", record.address);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bytes are enough")]
    let rate = bytes_per_second.map(|rate| format!("{}/s", HumanBytes(rate as u64))).unwrap_or_default();
    [
        if trouble > 0 { bad_on_stderr(&address) } else { address },
        match standing {
            Standing::Ready => format!("{in_flight} of {slots} in flight"),
            _ => standing.to_string(),
        },
        if trouble > 0 {
            bad_on_stderr(&format!("{} refused, {} failed", record.refused, record.failed))
        } else {
            String::new()
        },
        counted(record.requests, "request").to_string(),
        record.rtt_ms.map(|rtt| format!("rtt {rtt:.0} ms")).unwrap_or_default(),
        rate,
    ]
}

/// A line that says what it is told, cut to the width of the terminal.
fn blank() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Columns of the terminal; the last one stays empty, since some begin a new line once it is full.
fn columns() -> usize {
    let (_, columns) = console::Term::stderr().size_checked().unwrap_or((0, USUAL_COLUMNS));
    usize::from(columns).saturating_sub(1)
}
