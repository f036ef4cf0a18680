use std::fmt::Write as _;

use super::Report;
use super::svg::{Scale, Svg};
use super::takeaways::{name_of, takeaways};
use super::waterfall::waterfall;
use crate::run::Outcome;
use crate::stats::quantile;
use crate::suite::Cell;

/// Median speed-ups over one peer asked one request at a time, by number of peers.
#[derive(Debug, Clone)]
pub(crate) struct Sweep {
    /// Numbers of peers.
    pub(crate) peers: Vec<usize>,
    /// By contestant, in the order of `peers`; the last is the bound.
    pub(crate) speed_ups: Vec<(String, Vec<f64>)>,
}

/// One page with everything in it.
pub(crate) fn page(report: &Report, sweep: Option<&Sweep>, shown: &[(String, Outcome)]) -> String {
    let mut body = String::new();
    let first = report.cells.first().map_or(0, |cell| cell.seconds.len());
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        body,
        "<h1>qrsync beside other ways to ask</h1><p>Virtual time; {first} seeds from {}; <code>{}</code>; commit \
         {}; {}.</p>",
        report.seeds.0, report.command, report.commit, report.machine
    );
    let _ = write!(body, "<ol class=\"takeaways\">");
    for sentence in takeaways(report) {
        let _ = write!(body, "<li>{sentence}</li>");
    }
    let _ = write!(body, "</ol>");
    if let Some(sweep) = sweep {
        section(&mut body, "Speed-up against number of peers", SPEED_UP, &speed_ups(report, sweep));
    }
    let mut workloads: Vec<&str> = report.cells.iter().map(|cell| cell.workload.as_str()).collect();
    workloads.dedup();
    for workload in workloads {
        let cells: Vec<&Cell> = report.cells.iter().filter(|cell| cell.workload == workload).collect();
        let code = workload.split(' ').next().unwrap_or(workload);
        let about = report.legend.iter().find(|(name, _)| name == code).map_or("", |(_, about)| about);
        section(
            &mut body,
            &format!("Time over the lower bound: {workload}, {about}"),
            DISTRIBUTION,
            &distributions(report, &cells),
        );
    }
    for (name, outcome) in shown {
        section(&mut body, &format!("One run, by peer: {name}"), WATERFALL, &waterfall(outcome));
    }
    if let Some((name, outcome)) =
        shown.iter().find(|(_, outcome)| !outcome.progress.is_empty() && outcome.phases.is_empty())
    {
        section(
            &mut body,
            &format!("Progress shown against the truth: {name}"),
            PROGRESS,
            &progress(outcome),
        );
    }
    let _ = write!(body, "<h2>Numbers</h2><pre>{}</pre>", super::table(report));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>qrsync benchmark</title><style>{STYLE}</style>\
         <body>{body}</body></html>"
    )
}

fn section(body: &mut String, title: &str, about: &str, drawing: &str) {
    let _ = write!(body, "<h2>{title}</h2><p>{about}</p>{drawing}");
}

const SPEED_UP: &str = "600 getmnlistd, equal nodes: how many times faster than one request at a time to one peer. The \
    dashed line is the lower bound.";
const DISTRIBUTION: &str = "By network and contestant: the bar goes from the 5th to the 95th percentile, the mark is the \
    median. 1 is a bound that no client with three requests per node can beat; the scale is logarithmic. Who is left of 1 \
    keeps more requests at a node.";
const WATERFALL: &str = "Each bar is a request, from being sent to its answer; rows are peers with one lane per request \
    in flight. Dashed lines are the ends of phases, where the run has such.";
const PROGRESS: &str = "The share of lists that the client shows as proven, over the share of time that has passed. The \
    dashed line is the truth of a steady pace.";

fn speed_ups(report: &Report, sweep: &Sweep) -> String {
    // Names stand to the right.
    let (width, height) = (640.0, 340.0);
    let mut svg = Svg::new(width + 240.0, height);
    let values = sweep.speed_ups.iter().flat_map(|(_, values)| values.iter().copied());
    let top = values.fold(1.0, f64::max) * 1.05;
    let most = sweep.peers.iter().copied().max().unwrap_or(1);
    let x = Scale::linear((1.0, number(most)), (50.0, width - 120.0));
    let y = Scale::linear((0.0, top), (height - 35.0, 15.0));
    for tick in ticks(top) {
        svg.line((50.0, y.at(tick)), (width - 120.0, y.at(tick)), "grid");
        svg.text((44.0, y.at(tick) + 4.0), "end", &format!("{tick:.0}×"));
    }
    for &peers in &sweep.peers {
        svg.text((x.at(number(peers)), height - 15.0), "middle", &peers.to_string());
    }
    svg.text((width / 2.0 - 40.0, height - 1.0), "middle", "peers");
    for (index, (name, values)) in sweep.speed_ups.iter().enumerate() {
        let points: Vec<(f64, f64)> = sweep
            .peers
            .iter()
            .zip(values)
            .map(|(&peers, &value)| (x.at(number(peers)), y.at(value)))
            .collect();
        let class =
            if index + 1 == sweep.speed_ups.len() { "dashed".to_owned() } else { format!("c{index}") };
        svg.path(&points, &class);
        svg.line(
            (width - 110.0, 20.0 + 18.0 * number(index)),
            (width - 90.0, 20.0 + 18.0 * number(index)),
            &format!("line {class}"),
        );
        svg.text((width - 84.0, 24.0 + 18.0 * number(index)), "start", name_of(report, name));
    }
    svg.finish()
}

fn ticks(top: f64) -> impl Iterator<Item = f64> {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|step| top / step <= 8.0).unwrap_or(100.0);
    (0..=8).map(move |tick| f64::from(tick) * step).take_while(move |value| *value <= top)
}

fn distributions(report: &Report, cells: &[&Cell]) -> String {
    let (left, right, row) = (350.0, 900.0, 15.0);
    let most = cells.iter().map(|cell| quantile(&cell.over_bound, 0.95)).fold(2.0, f64::max);
    let x = Scale::logarithmic((0.5, most * 1.1), (left, right));
    let mut nets: Vec<&str> = cells.iter().map(|cell| cell.net.as_str()).collect();
    nets.dedup();
    let height = row * number(cells.len()) + 26.0 * number(nets.len()) + 30.0;
    let mut svg = Svg::new(right + 20.0, height);
    let mut marks = vec![0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];
    marks.retain(|mark| *mark <= most * 1.1);
    for mark in marks {
        svg.line((x.at(mark), 12.0), (x.at(mark), height - 20.0), if mark == 1.0 { "one" } else { "grid" });
        svg.text((x.at(mark), height - 6.0), "middle", &format!("{mark}×"));
    }
    let mut y = 10.0;
    let mut net = "";
    for cell in cells {
        if cell.net != net {
            net = &cell.net;
            y += 26.0;
            let about = report.legend.iter().find(|(name, _)| name == net).map_or("", |(_, about)| about);
            svg.text((6.0, y - 12.0), "start", &format!("{net}: {about}"));
        }
        let (low, high) = (quantile(&cell.over_bound, 0.05), quantile(&cell.over_bound, 0.95));
        let name = name_of(report, &cell.contestant);
        let title = format!("{name}: median {:.3}, p95 {high:.3}", cell.over_bound_median);
        let class = if cell.is_ours() || cell.contestant.starts_with("H-") { "ours" } else { "rival" };
        svg.text((left - 8.0, y + 4.0), "end", name);
        svg.rect((x.at(low), y - 4.0), (x.at(high) - x.at(low), 8.0), class, &title);
        svg.dot((x.at(cell.over_bound_median), y), &format!("{class} mark"), &title);
        y += row;
    }
    svg.finish()
}

fn progress(outcome: &Outcome) -> String {
    let side = 320.0;
    let mut svg = Svg::new(side + 60.0, side + 40.0);
    let end = outcome.makespan.map_or(1.0, |makespan| makespan.as_secs_f64());
    let x = Scale::linear((0.0, 1.0), (45.0, side + 45.0));
    let y = Scale::linear((0.0, 1.0), (side + 10.0, 10.0));
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        svg.line((x.at(0.0), y.at(share)), (x.at(1.0), y.at(share)), "grid");
        svg.text((40.0, y.at(share) + 4.0), "end", &format!("{:.0} %", share * 100.0));
        svg.text((x.at(share), side + 28.0), "middle", &format!("{:.0} %", share * 100.0));
    }
    svg.path(&[(x.at(0.0), y.at(0.0)), (x.at(1.0), y.at(1.0))], "dashed");
    let points: Vec<(f64, f64)> =
        outcome.progress.iter().map(|(at, share)| (x.at(at.as_secs_f64() / end), y.at(*share))).collect();
    svg.path(&points, "c0");
    svg.finish()
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn number(count: usize) -> f64 {
    count as f64
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:980px;margin:2em auto;padding:0 1em;color:#222;\
    background:#fff}svg{max-width:100%;height:auto;font:11px system-ui,sans-serif}pre{overflow:auto;font-size:11px}\
    .grid{stroke:#ddd}.one{stroke:#222;stroke-dasharray:3 3}.takeaways{font-size:17px}.line{fill:none;stroke-width:2}\
    .dashed{stroke:#222;stroke-dasharray:5 4;fill:none}.c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#009e73}\
    .c3{stroke:#cc79a7}.c4{stroke:#e69f00}.c5{stroke:#56b4e9}.c6{stroke:#888}.c7{stroke:#000}\
    .ours{fill:#0072b2}.rival{fill:#bbb}.mark{stroke:#222}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}text{fill:#ddd}.grid{stroke:#444}\
    .one,.dashed,.mark{stroke:#ddd}}";
