use super::Report;
use crate::suite::Cell;

/// The three sentences that a reader should take away, as the numbers have it.
pub(crate) fn takeaways(report: &Report) -> Vec<String> {
    let ours: Vec<&Cell> = report.cells.iter().filter(|cell| cell.is_ours()).collect();
    [saved(&ours), bound(&ours), losses(report, &ours)].into_iter().flatten().collect()
}

/// How much time ours saves.
fn saved(ours: &[&Cell]) -> Option<String> {
    let mut saved: Vec<(f64, &Cell)> =
        ours.iter().filter_map(|cell| Some((cell.saved?.value * 100.0, *cell))).collect();
    saved.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let (least, most) = (saved.first()?, saved.last()?);
    let (median, _) = saved[saved.len() / 2];
    Some(format!(
        "Against one request after the other to one peer, ours saves {median:.0} % of the time in the median of {} cells: \
         from {:.0} % ({}) to {:.0} % ({}).",
        saved.len(),
        least.0,
        place(least.1),
        most.0,
        place(most.1)
    ))
}

/// How far ours is from what nobody can beat.
fn bound(ours: &[&Cell]) -> Option<String> {
    let mut over: Vec<(f64, &Cell)> = ours.iter().map(|cell| (cell.over_bound_median, *cell)).collect();
    over.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let (median, _) = *over.get(over.len() / 2)?;
    let (most, worst) = over.last()?;
    let near = over.iter().filter(|(over, _)| *over <= NEAR).count();
    Some(format!(
        "In {near} of {} cells ours takes at most {NEAR} times as long as a bound that nobody can beat; {median:.2} times in \
         the median of the cells, and {most:.2} times in the worst ({}).",
        over.len(),
        place(worst)
    ))
}

/// Where another contestant has the better 95th percentile, beyond what is noise. Ours with a feature off is no other.
fn losses(report: &Report, ours: &[&Cell]) -> Option<String> {
    let best_of = |own: &Cell| {
        let same =
            report.cells.iter().filter(|cell| (&cell.workload, &cell.net) == (&own.workload, &own.net));
        let others = same.filter(|cell| !cell.is_ours() && !cell.contestant.starts_with("H-"));
        others.min_by(|one, other| one.over_bound_p95.total_cmp(&other.over_bound_p95))
    };
    let compared: Vec<(&Cell, &Cell)> = ours.iter().filter_map(|own| Some((*own, best_of(own)?))).collect();
    let lost = |(own, best): &&(&Cell, &Cell)| own.over_bound_p95 > best.over_bound_p95 * NOISE;
    let gap = |(own, best): &(&Cell, &Cell)| own.over_bound_p95 / best.over_bound_p95;
    let count = compared.iter().filter(lost).count();
    let all = compared.len();
    let worst = compared.iter().max_by(|one, other| gap(one).total_cmp(&gap(other)))?;
    Some(match count {
        0 => format!(
            "In none of {all} cells does anybody have a 95th percentile that is better than ours by more than a hundredth."
        ),
        _ => format!(
            "In {count} of {all} cells somebody else has the better 95th percentile, most of all in {}: {} with {:.2} times \
             the bound, ours with {:.2}.",
            place(worst.0),
            name_of(report, &worst.1.contestant),
            worst.1.over_bound_p95,
            worst.0.over_bound_p95
        ),
    })
}

/// What a contestant is called in a sentence or a drawing: what a letter stands for.
pub(super) fn name_of<'a>(report: &'a Report, contestant: &'a str) -> &'a str {
    let is_letter = contestant.len() == 1 || contestant.starts_with("H-");
    let about = report.legend.iter().find(|(name, _)| is_letter && name == contestant);
    about.map_or(contestant, |(_, about)| about)
}

fn place(cell: &Cell) -> String {
    format!("{} in {}", cell.workload, cell.net)
}

/// The promise for networks without faults.
const NEAR: f64 = 1.15;
/// What is worse by less than this is no loss.
const NOISE: f64 = 1.01;
