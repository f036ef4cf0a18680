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

/// One line per workload and network: time over the bound, median and 95th percentile, of each contestant. Headers, which
/// have contestants of their own, are a table of their own.
pub(crate) fn summary(report: &Report) -> String {
    let (headers, lists): (Vec<&Cell>, Vec<&Cell>) =
        report.cells.iter().partition(|cell| cell.is_of_headers());
    let tables = [headers, lists].into_iter().filter(|cells| !cells.is_empty());
    tables.map(|cells| summary_of(&cells)).collect::<Vec<_>>().join("\n")
}

fn summary_of(cells: &[&Cell]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut rows: Vec<(String, Vec<&Cell>)> = Vec::new();
    for &cell in cells {
        if !names.contains(&cell.contestant.as_str()) {
            names.push(&cell.contestant);
        }
        let row = format!("{} {}", cell.workload, cell.net);
        match rows.last_mut() {
            Some((last, cells)) if *last == row => cells.push(cell),
            _ => rows.push((row, vec![cell])),
        }
    }
    let slowest = if cells.iter().any(|cell| cell.is_of_headers()) { "2,000 in a row" } else { "A" };
    let mut out = format!(
        "| | {} | ours saves vs {slowest} |\n|---|{}---|\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for (row, cells) in rows {
        let ours = cells.iter().find(|cell| cell.is_ours());
        let best = cells.iter().map(|cell| cell.over_bound_p95).fold(f64::INFINITY, f64::min);
        let shown = cells.iter().map(|cell| {
            let notes = [(cell.unfinished, "unfinished"), (cell.begun_anew, "begun anew")];
            let notes = notes.iter().filter(|(runs, _)| *runs > 0);
            let notes: String = notes.map(|(runs, note)| format!(" ({runs} {note})")).collect();
            let mark = if cell.max_in_flight as usize > crate::rival::PER_PEER { "*" } else { "" };
            let text = format!("{:.2} / {:.2}{mark}{notes}", cell.over_bound_median, cell.over_bound_p95);
            if cell.over_bound_p95 <= best { format!("**{text}**") } else { text }
        });
        let shown: Vec<String> = shown.collect();
        let saved = ours.and_then(|cell| cell.saved).map_or(0.0, |saved| saved.value * 100.0);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {row} | {} | {saved:.1} % |", shown.join(" | "));
    }
    out
}

const HEADER: &str = "| who                 | median s (95 % CI)        | p95 s (95 % CI)           | / bound | p95   | / unforeseen | p95   | / oracle | saved vs A | beyond ours, s          | req/unit | hedged | wasted | in flight | unfinished | wrong |";
const RULE: &str = "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

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
        "| {:<19} | {:<25} | {:<25} | {:>7.3} | {:>5.2} | {:>12.3} | {:>5.2} | {:>8.3} | {saved:>10} | {beyond:<23} | {:>8.3} | {hedged:>6} | {:>4.1} % | {:>9} | {:>10} | {:>5} |",
        cell.contestant,
        interval(&cell.median),
        interval(&cell.p95),
        cell.over_bound_median,
        cell.over_bound_p95,
        cell.over_unforeseen_median,
        cell.over_unforeseen_p95,
        cell.over_oracle_median,
        cell.requests_per_unit,
        cell.wasted * 100.0,
        cell.max_in_flight,
        cell.unfinished,
        cell.wrong,
    )
}
