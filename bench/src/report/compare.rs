use std::fmt::Write as _;

use super::Report;
use crate::stats::quantile;

/// What changed from one report to another: medians of the same runs, paired by seed where both have the same seeds.
pub(crate) fn compare(before: &Report, after: &Report) -> String {
    let mut out = format!(
        "before: {} seeds {}..{}\nafter:  {} seeds {}..{}\n\n| run | before, s | after, s | after / before | worst seed |\n|---|---|---|---|---|\n",
        before.commit, before.seeds.0, before.seeds.1, after.commit, after.seeds.0, after.seeds.1
    );
    for cell in &after.cells {
        let same = before.cells.iter().find(|other| {
            (&other.workload, &other.net, &other.contestant, other.peers)
                == (&cell.workload, &cell.net, &cell.contestant, cell.peers)
        });
        let Some(old) = same else { continue };
        let (ratio, worst) = if before.seeds == after.seeds {
            let ratios: Vec<f64> =
                cell.seconds.iter().zip(&old.seconds).map(|(new, old)| new / old).collect();
            (quantile(&ratios, 0.5), quantile(&ratios, 1.0))
        } else {
            (cell.median.value / old.median.value, f64::NAN)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} {} {} | {:.3} | {:.3} | {ratio:.3} | {worst:.3} |",
            cell.workload, cell.net, cell.contestant, old.median.value, cell.median.value
        );
    }
    out
}
