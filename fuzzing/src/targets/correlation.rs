use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use spv_correlation::{Config, Expectation, FenceVerdict, PendingTable, Registration, RequestId, Verdict};

/// A request whose answer names it, or, from 128 on, looks like that of others.
struct Ask(u8);

impl Expectation for Ask {
    type Response = u8;
    type Content = u8;
    type Key = u8;

    fn content(response: &u8) -> u8 {
        *response
    }

    fn accepts(&self, content: &u8) -> bool {
        self.0 == *content || (self.0 >= 128 && *content >= 128)
    }

    fn key(&self) -> u8 {
        if self.0 >= 128 { 128 } else { self.0 }
    }

    fn may_come_unasked(content: &u8) -> bool {
        content.is_multiple_of(16)
    }
}

/// The first two bytes configure the table, each two others are something that happens and what it is about.
pub(crate) fn run(input: &[u8]) -> bool {
    let Some((&[flags, sizes], events)) = input.split_first_chunk() else { return false };
    let config = Config {
        max_pending: usize::from(sizes % 16) + 1,
        max_history: usize::from(sizes / 16) + 1,
        expire_after: Duration::from_secs(60),
        fences: flags & 1 == 0,
        hold_ambiguous: flags & 2 != 0,
    };
    let mut stream = Stream::new(config);
    for &[event, about] in events.as_chunks().0 {
        stream.happens(event, about);
        assert!(stream.table.in_flight() <= stream.max_pending);
        let waits = stream.table.next_expiry().is_some_and(|at| at > stream.now + Duration::from_secs(60));
        assert!(!waits, "longer than it may");
    }
    stream.matched > 0
}

struct Stream {
    table: PendingTable<Ask>,
    now: Instant,
    max_pending: usize,
    written: Vec<Registration>,
    /// Requests that somebody waits for, and what they ask.
    waiting: BTreeMap<RequestId, u8>,
    closed: bool,
    matched: usize,
}

impl Stream {
    #[expect(clippy::disallowed_methods, reason = "where time begins does not matter")]
    fn new(config: Config) -> Self {
        let table = PendingTable::new(&config, 1).expect("all values are in range");
        let (now, max_pending) = (Instant::now(), config.max_pending);
        Self {
            table,
            now,
            max_pending,
            written: Vec::new(),
            waiting: BTreeMap::new(),
            closed: false,
            matched: 0,
        }
    }

    fn happens(&mut self, event: u8, about: u8) {
        let chosen = self.written.get(usize::from(about) % self.written.len().max(1)).copied();
        match event % 9 {
            0 | 1 => self.register(about),
            2 | 3 => match self.table.on_response(&about, self.now) {
                Verdict::Matched(id) => {
                    self.matched += 1;
                    self.ends(id);
                }
                // These may be abandoned: they keep their place in the stream.
                Verdict::Mismatched(id) => {
                    self.waiting.remove(&id);
                }
                Verdict::Ambiguous(ids) => self.waiting.retain(|id, _| !ids.contains(id)),
                Verdict::Late(id) => assert!(!self.waiting.contains_key(&id), "{id} was waited for"),
                _ => {}
            },
            4 => {
                let nonce = chosen.map_or_else(|| about.into(), |chosen| chosen.fence);
                self.fence(nonce);
            }
            5 => {
                self.now += Duration::from_secs(about.into());
                for id in self.table.expire(self.now) {
                    self.ends(id);
                }
            }
            6 => {
                if let Some(Registration { id, .. }) = chosen {
                    self.table.abandon(id);
                    self.waiting.remove(&id);
                }
            }
            7 => {
                if let Some(nonce) = self.table.probe().filter(|_| about < 128) {
                    self.fence(nonce);
                }
            }
            _ if about == 255 => {
                for id in self.table.close() {
                    self.ends(id);
                }
                assert!(self.waiting.is_empty(), "{:?} wait for ever", self.waiting);
                self.closed = true;
            }
            _ => {
                let waits = self.waiting.values().any(|&ask| ask == about);
                assert!(self.table.remembers(|ask| ask.0 == about) || !waits, "{about} is forgotten");
            }
        }
    }

    fn register(&mut self, about: u8) {
        if let Ok(registration) = self.table.register(Ask(about), self.now) {
            assert!(!self.closed && registration.fence != 0);
            assert!(self.waiting.insert(registration.id, about).is_none(), "{} twice", registration.id);
            self.written.push(registration);
        }
    }

    fn fence(&mut self, nonce: u64) {
        for id in self.table.lost_before(nonce) {
            self.ends(id);
        }
        match self.table.on_fence(nonce, self.now) {
            // It may be of a request that nobody waits for any more.
            FenceVerdict::Refused(id) | FenceVerdict::Matched { id, .. } => {
                self.waiting.remove(&id);
            }
            FenceVerdict::Answered { .. } | FenceVerdict::Inconclusive(_) | FenceVerdict::Unknown => {}
        }
    }

    fn ends(&mut self, id: RequestId) {
        assert!(self.waiting.remove(&id).is_some(), "{id} was not waited for");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        // Three requests, answered in order with their fences.
        vec![0, 0xff, 0, 1, 0, 2, 0, 3, 2, 1, 4, 0, 2, 2, 4, 1, 2, 3, 4, 2],
        // A refusal, a late answer, a repeated one.
        vec![0, 0xff, 0, 1, 0, 2, 4, 0, 2, 2, 2, 1, 2, 2, 4, 1],
        // Answers that look alike, held until their fences.
        vec![2, 0xff, 0, 130, 0, 131, 2, 140, 4, 1, 2, 140, 4, 0, 0, 3, 2, 3],
        // Without fences, expired, abandoned, closed.
        vec![1, 0xff, 0, 1, 0, 2, 6, 0, 5, 70, 2, 1, 0, 4, 2, 4, 8, 255],
        // A probe, and a table that is full.
        vec![0, 1, 0, 1, 0, 2, 0, 3, 7, 0, 2, 1, 4, 0],
    ]
}
