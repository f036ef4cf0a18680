use std::fmt::Write as _;

use super::Report;
use crate::suite::Cell;

/// The numbers for a terminal, and for Markdown.
pub(crate) fn table(report: &Report) -> String {
    let mut out = String::new();
    for (name, about) in &report.legend {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(out, "{name:<20} {about}");
    }
    let mut heading = None;
    for cell in &report.cells {
        if heading != Some((&cell.workload, &cell.net)) {
            heading = Some((&cell.workload, &cell.net));
            let _ = writeln!(
                out,
                "\n{} in {}, {} peers, {} seeds\n",
                cell.workload,
                cell.net,
                cell.peers,
                cell.seconds.len()
            );
            let _ = writeln!(out, "{HEADER}\n{RULE}");
        }
        let _ = writeln!(out, "{}", line(cell));
    }
    out
}

const HEADER: &str = "| who                 | median s (95 % CI)        | p95 s (95 % CI)           | / bound | p95   | / oracle | saved vs A | beyond ours, s          | req/unit | hedged | wasted | in flight | unfinished | wrong |";
const RULE: &str = "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn line(cell: &Cell) -> String {
    let interval = |estimate: &crate::stats::Estimate| {
        format!("{:.3} ({:.3}–{:.3})", estimate.value, estimate.low, estimate.high)
    };
    let saved = cell.saved.as_ref().map_or_else(String::new, |saved| format!("{:.1} %", saved.value * 100.0));
    let beyond = cell.beyond_ours.as_ref().map_or_else(String::new, |beyond| {
        format!("{:+.3} ({:+.3} to {:+.3})", beyond.value, beyond.low, beyond.high)
    });
    let hedged = cell.hedged_per_unit.map_or_else(String::new, |share| format!("{:.1} %", share * 100.0));
    format!(
        "| {:<19} | {:<25} | {:<25} | {:>7.3} | {:>5.2} | {:>8.3} | {saved:>10} | {beyond:<23} | {:>8.3} | {hedged:>6} | {:>4.1} % | {:>9} | {:>10} | {:>5} |",
        cell.contestant,
        interval(&cell.median),
        interval(&cell.p95),
        cell.over_bound_median,
        cell.over_bound_p95,
        cell.over_oracle_median,
        cell.requests_per_unit,
        cell.wasted * 100.0,
        cell.max_in_flight,
        cell.unfinished,
        cell.wrong,
    )
}
