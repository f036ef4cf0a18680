use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;

/// Peers beyond these share one group of lanes.
const MAX_GROUPS: usize = 256;

/// Lanes of a group; what overlaps more is drawn over each other.
const MAX_LANES: usize = 64;

/// Writes what a run did as a Chrome trace, which Perfetto opens: a group of lanes for each peer with its requests, one
/// for the stages of verification, and one for the phases. Everything goes to the file at once; only the ends of the
/// lanes are kept. A file that was cut off can be opened all the same.
#[derive(Debug)]
pub(crate) struct TraceFile {
    path: PathBuf,
    epoch: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once the trace has ended, or could not be written.
    out: Option<BufWriter<File>>,
    is_empty: bool,
    failure: Option<io::Error>,
    /// By name: until when each lane is taken.
    groups: BTreeMap<String, Group>,
    phase: Option<(String, u64)>,
}

#[derive(Debug)]
struct Group {
    id: usize,
    taken_until: Vec<u64>,
}

impl TraceFile {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| {
            format!("cannot write the trace {}; choose another file with --trace", path.display())
        })?;
        let state = State {
            out: Some(BufWriter::new(file)),
            is_empty: true,
            failure: None,
            groups: BTreeMap::new(),
            phase: None,
        };
        Ok(Self { path: path.to_owned(), epoch: Instant::now(), state: Mutex::new(state) })
    }

    /// Ends the file; later events are dropped.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        let now = self.now();
        let mut state = self.state.lock();
        state.enter(None, now);
        if let Some(mut out) = state.out.take()
            && let Err(error) = out.write_all(b"\n]\n").and_then(|()| out.flush())
        {
            state.failure = Some(error);
        }
        match state.failure.take() {
            None => Ok(()),
            Some(error) => {
                Err(error).with_context(|| format!("the trace {} is incomplete", self.path.display()))
            }
        }
    }

    /// Microseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn record(&self, fields: &Fields) {
        let now = self.now();
        let began = now.saturating_sub(fields.number("elapsed_us"));
        let mut state = self.state.lock();
        match fields.text("event") {
            "phase" => state.enter(Some(fields.text("phase").to_owned()), now),
            "request" => {
                let arguments = json!({ "outcome": fields.text("outcome"), "bytes": fields.number("bytes") });
                state.complete(fields.text("peer"), fields.text("kind"), began, now, &arguments);
            }
            "stage" => {
                let arguments = json!({ "count": fields.number("count") });
                state.complete("verification", fields.text("stage"), began, now, &arguments);
            }
            _ => {}
        }
    }
}

impl State {
    /// Something that went from `began` to `ended`, in the first lane that was free then.
    fn complete(&mut self, group: &str, name: &str, began: u64, ended: u64, arguments: &Value) {
        let (group, lane) = self.lane(group, began, ended);
        self.write(&json!({
            "ph": "X", "name": name, "pid": group, "tid": lane, "ts": began, "dur": ended - began, "args": arguments,
        }));
    }

    /// Events come in order of their ends, so a lane is free if its last one ended before this one began. The one that
    /// has been free for the shortest time leaves the others to what began earlier.
    fn lane(&mut self, name: &str, began: u64, ended: u64) -> (usize, usize) {
        let is_full = self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(name);
        let name = if is_full { "other peers" } else { name };
        let next = self.groups.len() + 1;
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Group { id: next, taken_until: Vec::new() });
            self.write(&json!({ "ph": "M", "name": "process_name", "pid": next, "args": { "name": name } }));
        }
        let Some(group) = self.groups.get_mut(name) else { return (next, 0) };
        let lanes = group.taken_until.iter().enumerate();
        let free = lanes.filter(|&(_, &until)| until <= began).max_by_key(|&(_, &until)| until);
        let lane = match free {
            Some((lane, _)) => lane,
            None => {
                if group.taken_until.len() < MAX_LANES {
                    group.taken_until.push(0);
                }
                group.taken_until.len() - 1
            }
        };
        group.taken_until[lane] = ended;
        (group.id, lane)
    }

    fn enter(&mut self, phase: Option<String>, now: u64) {
        if self.phase.as_ref().map(|(name, _)| name) == phase.as_ref() {
            return;
        }
        let next = phase.map(|phase| (phase, now));
        if let Some((name, began)) = std::mem::replace(&mut self.phase, next) {
            self.complete("phases", &name, began, now, &Value::Null);
        }
    }

    fn write(&mut self, event: &Value) {
        let Some(out) = &mut self.out else { return };
        let separator = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        if let Err(error) = write!(out, "{separator}{event}") {
            // The sync matters more than its trace; that it is incomplete is said at the end.
            self.failure = Some(error);
            self.out = None;
        }
    }
}

/// Hands the events of a run to a [`TraceFile`].
#[derive(Debug)]
pub(crate) struct Waterfall(Arc<TraceFile>);

impl Waterfall {
    pub(crate) fn new(file: Arc<TraceFile>) -> Self {
        Self(file)
    }
}

impl<S: Subscriber> Layer<S> for Waterfall {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.record(&fields);
    }
}

/// Fields of an event by name.
#[derive(Debug, Default)]
struct Fields {
    texts: BTreeMap<&'static str, String>,
    numbers: BTreeMap<&'static str, u64>,
}

impl Fields {
    fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.insert(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.texts.insert(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_gets_lanes_of_its_own_and_a_free_lane_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.json");
        let trace = TraceFile::create(&path).unwrap();
        let mut lanes = Vec::new();
        for (began, ended) in [(0, 10), (5, 12), (10, 20), (12, 21), (1, 22)] {
            let mut state = trace.state.lock();
            lanes.push(state.lane("peer", began, ended).1);
        }
        assert_eq!(lanes, [0, 1, 0, 1, 2]);
        let peers = (0..2 * MAX_GROUPS).map(|peer| format!("peer {peer}"));
        let mut state = trace.state.lock();
        peers.for_each(|peer| _ = state.lane(&peer, 0, 1));
        (0..2 * MAX_LANES).for_each(|_| _ = state.lane("peer", 0, 100));
        assert!(state.groups.len() <= MAX_GROUPS + 1);
        assert_eq!(state.groups["peer"].taken_until.len(), MAX_LANES);
        drop(state);
        trace.finish().unwrap();
        trace.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap().len(), MAX_GROUPS + 1);
    }
}
