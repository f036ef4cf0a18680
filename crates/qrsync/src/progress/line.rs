use std::time::Duration;

use spv_integration::progress::Phase;

use super::overall::View;

/// Number of phases that a sync goes through, for a person.
const PHASES: usize = 4;

/// Widths of a bar, in columns.
const BAR: std::ops::RangeInclusive<usize> = 6..=32;

/// Between two parts of a line.
const GAP: &str = "  ";

/// One line about a sync that fits into this many columns: what matters less is left out where there is no room.
pub(super) fn of_sync(view: &View, label: &str, peers: &str, columns: usize) -> String {
    let (number, name) = match view.phase {
        Phase::Connecting | Phase::Following | Phase::Done => (1, "connecting"),
        Phase::Headers => (2, "headers"),
        Phase::Lists => (3, "lists"),
        Phase::Quorums => (4, "quorums"),
    };
    let left = view.left.map(|left| format!("{} left", clock(left)));
    // From what matters most to what matters least.
    let parts = [
        (Place::Name, Some(name.to_owned())),
        (Place::Left, left),
        (Place::Percent, view.share().map(|share| format!("{:2.0} %", (share * 100.0).floor()))),
        (Place::Elapsed, Some(clock(view.elapsed))),
        (Place::Label, (!label.is_empty()).then(|| label.to_owned())),
        (Place::Rate, view.rate.map(|rate| format!("{}/s", rounded(rate)))),
        (Place::Count, view.share().map(|_| format!("{} of {}", grouped(view.done), grouped(view.planned)))),
        (Place::Peers, (!peers.is_empty()).then(|| peers.to_owned())),
        (Place::Number, Some(format!("step {number} of {PHASES}"))),
    ];
    let mut room = columns;
    let mut line: Vec<(Place, String)> = Vec::new();
    let gap = |line: &Vec<(Place, String)>| if line.is_empty() { 0 } else { GAP.len() };
    for (place, part) in parts {
        let Some(part) = part else { continue };
        // A bar comes before what is less than the time and the share.
        let reserved = match place {
            Place::Name | Place::Left | Place::Percent | Place::Elapsed => 0,
            _ if view.share().is_some() => BAR.start() + GAP.len(),
            _ => 0,
        };
        let needed = width(&part) + gap(&line);
        if needed + reserved <= room {
            room -= needed;
            line.push((place, part));
        }
    }
    if let Some(share) = view.share()
        && room >= BAR.start() + GAP.len()
    {
        line.push((Place::Bar, bar(share, (room - GAP.len()).min(*BAR.end()))));
    }
    line.sort_by_key(|(place, _)| *place);
    line.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(GAP)
}

/// The first parts that fit into this many columns.
pub(super) fn of_parts(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let gap = if line.is_empty() { "" } else { GAP };
        if width(&line) + gap.len() + width(part) <= columns {
            line.push_str(gap);
            line.push_str(part);
        }
    }
    line
}

/// Minutes and seconds, and hours where there are any; of more than two days only these.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        48.. => format!("{} days", grouped(hours / 24)),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Label,
    Name,
    Number,
    Bar,
    Percent,
    Count,
    Rate,
    Elapsed,
    Left,
    Peers,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few columns")]
fn bar(share: f64, columns: usize) -> String {
    let full = (share * columns as f64).floor() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are far below 2^64")]
fn rounded(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(phase: Phase) -> View {
        View {
            phase,
            done: 1_240_000,
            planned: 2_000_000,
            rate: Some(34_567.8),
            elapsed: Duration::from_secs(36),
            left: Some(Duration::from_secs(22)),
        }
    }

    #[test]
    fn a_line_fits_every_terminal() {
        let phases = [Phase::Connecting, Phase::Headers, Phase::Lists, Phase::Quorums];
        for (phase, label) in
            phases.into_iter().flat_map(|phase| ["", "run 2 of 2"].map(|label| (phase, label)))
        {
            for columns in 1..=240 {
                let line = of_sync(&view(phase), label, "7 of 8 peers", columns);
                assert!(width(&line) <= columns, "{columns}: {line:?}");
            }
        }
    }

    #[test]
    fn what_matters_most_stays_where_it_is_narrow() {
        let at = |columns| of_sync(&view(Phase::Headers), "run 2 of 2", "7 of 8 peers", columns);
        assert_eq!(at(40), "headers  ████░░░░  62 %  0:36  0:22 left");
        let usual = "run 2 of 2  headers  ███████░░░░░  62 %  34,568/s  0:36  0:22 left  7 of 8 peers";
        assert_eq!(at(80), usual);
        let bar = format!("{}{}", "█".repeat(19), "░".repeat(13));
        let wide = format!(
            "run 2 of 2  headers  step 2 of 4  {bar}  62 %  1,240,000 of 2,000,000  34,568/s  0:36  0:22 left"
        );
        assert_eq!(at(200), format!("{wide}  7 of 8 peers"));
    }

    #[test]
    fn times_and_numbers_are_those_of_people() {
        let times = [0, 59, 61, 3_599, 7_265, 200_000].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(times, ["0:00", "0:59", "1:01", "59:59", "2:01:05", "2 days"]);
        assert_eq!([0.44, 9.99, 12.4, 34_567.8].map(rounded), ["0.4", "10.0", "12", "34,568"]);
    }
}
