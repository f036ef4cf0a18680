use super::svg::{Scale, Svg};
use crate::run::Outcome;

/// Requests by peer and time, and the phases that the run went through.
pub(super) fn waterfall(outcome: &Outcome) -> String {
    let seen = &outcome.seen;
    let (left, right, lane, head) = (60.0, 900.0, 9.0, 26.0);
    let peers = seen.iter().map(|seen| seen.peer + 1).max().unwrap_or(0);
    let phases = outcome.phases.iter().map(|(at, _)| at.as_secs_f64());
    let end = seen.iter().map(|seen| seen.at.as_secs_f64()).chain(phases).fold(0.001, f64::max);
    let x = Scale::linear((0.0, end), (left, right));
    let height = head + 40.0 * number(peers) + 30.0;
    let mut svg = Svg::new(right + 20.0, height);
    for peer in 0..peers {
        let top = head + 10.0 + 40.0 * number(peer);
        svg.text((6.0, top + 18.0), "start", &format!("peer {peer}"));
        // A node answers in the order of requests, so the first answer belongs to the first request.
        let of_peer =
            |answers: bool| seen.iter().filter(move |seen| seen.peer == peer && seen.is_answer == answers);
        let mut lanes = [f64::MIN; LANES];
        for (sent, answered) in of_peer(false).zip(of_peer(true)) {
            let (from, to) = (sent.at.as_secs_f64(), answered.at.as_secs_f64());
            let free = lanes.iter().position(|until| *until <= from + 1e-9).unwrap_or(LANES - 1);
            lanes[free] = to;
            let title = format!("{from:.3} s to {to:.3} s, {} bytes", answered.bytes);
            svg.rect(
                (x.at(from), top + lane * number(free)),
                (x.at(to) - x.at(from), lane - 2.0),
                "ours",
                &title,
            );
        }
    }
    let mut began = 0.0;
    for (ended, name) in &outcome.phases {
        let ended = ended.as_secs_f64();
        svg.line((x.at(ended), 6.0), (x.at(ended), height - 22.0), "one");
        // Where a phase is too short for its name, the drawing's other numbers have to do.
        if x.at(ended) - x.at(began) > 6.0 * number(name.len()) {
            svg.text((x.at(f64::midpoint(began, ended)), 16.0), "middle", name);
        }
        began = ended;
    }
    for tick in 0..=5 {
        let at = end * f64::from(tick) / 5.0;
        svg.text((x.at(at), height - 6.0), "middle", &format!("{at:.2} s"));
    }
    svg.finish()
}

/// Lanes drawn per peer; what is beyond shares the last.
const LANES: usize = 4;

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn number(count: usize) -> f64 {
    count as f64
}
