//! A peer that does any mix of four things to its messages: it swallows requests with their pings, repeats answers,
//! sends them out of order, and sends them late. Seeds are fixed; a failure prints its own.

use super::*;

/// What the peer does besides answering and refusing in order.
#[derive(Clone, Copy, Debug, Default)]
struct Mix {
    swallows: bool,
    duplicates: bool,
    reorders: bool,
    late: bool,
}

/// How contents relate to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// Each names its request, and none is asked again.
    Unique,
    /// The same few are asked for again and again, also at one time.
    Few,
}

#[derive(Clone, Copy, Debug)]
enum Message {
    Answer { of: usize },
    Pong(u64),
}

struct Asked {
    registration: Registration,
    echo: u8,
    value: Option<usize>,
    swallowed: bool,
    ended: bool,
}

/// One conversation: the table is told what arrives, and what it says is compared with what the peer did.
struct Run {
    table: PendingTable<Ask>,
    rng: fastrand::Rng,
    asked: Vec<Asked>,
    held: Option<usize>,
    crossed: usize,
    lost_wrongly: usize,
}

impl Run {
    fn new(seed: u64, config: &Config) -> Self {
        Self {
            table: PendingTable::new(config, seed).unwrap(),
            rng: fastrand::Rng::with_seed(seed),
            asked: Vec::new(),
            held: None,
            crossed: 0,
            lost_wrongly: 0,
        }
    }

    fn deliver(&mut self, id: RequestId, of: usize) {
        let to = self.asked.iter().position(|asked| asked.registration.id == id).unwrap();
        self.crossed += usize::from(to != of);
        self.asked[to].value = Some(of);
        self.asked[to].ended = true;
    }

    fn arrive(&mut self, message: Message, now: Instant) {
        match message {
            Message::Answer { of } => {
                let content = Say::Echo(self.asked[of].echo);
                match self.table.on_response(&content, now) {
                    Verdict::Matched(id) => self.deliver(id, of),
                    Verdict::Held => self.held = Some(of),
                    _ => {}
                }
            }
            Message::Pong(nonce) => {
                for id in self.table.lost_before(nonce) {
                    let lost = self.asked.iter_mut().find(|asked| asked.registration.id == id).unwrap();
                    lost.ended = true;
                    self.lost_wrongly += usize::from(!lost.swallowed);
                }
                if let FenceVerdict::Matched { id, .. } = self.table.on_fence(nonce, now) {
                    let of = self.held.take().expect("held before it is matched");
                    self.deliver(id, of);
                }
            }
        }
    }

    fn play(&mut self, mix: Mix, contents: Contents, repeats_behind_fences: bool) {
        let mut now = base();
        let expire_after = Config::default().expire_after;
        let mut stream: Vec<Message> = Vec::new();
        for nth in 0..self.rng.usize(4..24) {
            for _ in 0..self.rng.usize(1..4) {
                let echo = match contents {
                    Contents::Unique => u8::try_from(self.asked.len()).unwrap(),
                    Contents::Few => self.rng.u8(0..3),
                };
                let Ok(registration) = self.table.register(Ask { echo }, now) else { continue };
                let swallowed = mix.swallows && self.rng.u8(0..4) == 0;
                let of = self.asked.len();
                self.asked.push(Asked { registration, echo, value: None, swallowed, ended: false });
                if swallowed {
                    continue;
                }
                if self.rng.u8(0..5) > 0 {
                    stream.push(Message::Answer { of });
                    if mix.duplicates && self.rng.u8(0..3) == 0 {
                        stream.push(Message::Answer { of });
                    }
                }
                stream.push(Message::Pong(registration.fence));
                let answered: Vec<Message> = stream
                    .iter()
                    .copied()
                    .filter(|message| matches!(message, Message::Answer { .. }))
                    .collect();
                if mix.duplicates && repeats_behind_fences && !answered.is_empty() && self.rng.u8(0..4) == 0 {
                    stream.push(answered[self.rng.usize(0..answered.len())]);
                }
            }
            if self.rng.bool()
                && let Some(nonce) = self.table.probe()
            {
                stream.push(Message::Pong(nonce));
            }
            if mix.reorders && stream.len() > 1 {
                let at = self.rng.usize(1..stream.len());
                stream.swap(at - 1, at);
            }
            if self.rng.u8(0..8) == 0 && !self.asked.is_empty() {
                let gone = self.rng.usize(0..self.asked.len());
                self.table.abandon(self.asked[gone].registration.id);
                self.asked[gone].ended = true;
            }
            // Late: all is silent until what was asked has expired, and goes on in order then.
            let is_late = mix.late && nth % 4 == 0;
            if is_late && !matches!(stream.first(), Some(Message::Pong(_))) {
                now += expire_after;
                let expired = self.table.expire(now);
                for asked in self.asked.iter_mut().filter(|asked| expired.contains(&asked.registration.id)) {
                    asked.ended = true;
                }
            }
            // An answer and its pong arrive together, so that waiting never separates them.
            let mut arriving = self.rng.usize(0..=stream.len());
            while arriving < stream.len() && !matches!(stream[arriving], Message::Pong(_)) {
                arriving += 1;
            }
            let arriving = (arriving + 1).min(stream.len());
            for message in stream.drain(..arriving).collect::<Vec<_>>() {
                now += Duration::from_millis(1);
                self.arrive(message, now);
            }
        }
        for message in std::mem::take(&mut stream) {
            self.arrive(message, now);
        }
    }
}

const RUNS: u64 = 250;

fn mixes() -> impl Iterator<Item = Mix> {
    let bit = |mix: u8, bit: u8| mix & (1 << bit) != 0;
    (0..16).map(move |mix| Mix {
        swallows: bit(mix, 0),
        duplicates: bit(mix, 1),
        reorders: bit(mix, 2),
        late: bit(mix, 3),
    })
}

#[test]
fn an_orderly_peer_is_never_unfenced_and_no_answer_reaches_another_caller() {
    for mix in mixes() {
        for (contents, hold_ambiguous) in [
            (Contents::Unique, false),
            (Contents::Unique, true),
            (Contents::Few, false),
            (Contents::Few, true),
        ] {
            let mut unfenced = 0;
            for seed in 0..RUNS {
                let config = Config { hold_ambiguous, ..Config::default() };
                let mut run = Run::new(seed, &config);
                run.play(mix, contents, true);
                unfenced += u64::from(!run.table.is_fenced());
                if !mix.reorders {
                    assert!(run.table.is_fenced(), "{mix:?}, {contents:?}, {hold_ambiguous}, seed {seed}");
                }
                if contents == Contents::Unique {
                    assert_eq!(run.crossed, 0, "{mix:?}, {hold_ambiguous}, seed {seed}");
                }
            }
            assert_eq!(unfenced > 0, mix.reorders, "{mix:?}: what reorders is found out");
        }
    }
}

/// Where contents do not name their requests, holding attributes all answers of an orderly peer that repeats none of them
/// behind its fence.
#[test]
fn held_answers_reach_the_caller_who_asked_though_contents_collide() {
    let mut crossed_without = 0;
    for mix in mixes().filter(|mix| !mix.reorders) {
        for seed in 0..RUNS {
            let config = Config { hold_ambiguous: true, ..Config::default() };
            let mut run = Run::new(seed, &config);
            run.play(mix, Contents::Few, false);
            assert_eq!((run.crossed, run.lost_wrongly), (0, 0), "{mix:?}, seed {seed}");
            let mut run = Run::new(seed, &Config::default());
            run.play(mix, Contents::Few, false);
            crossed_without += run.crossed;
        }
    }
    assert!(crossed_without > 0, "or holding is not put to the test");
}
