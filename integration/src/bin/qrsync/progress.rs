use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use spv_integration::sync::{Phase, Progress};

/// Draws the progress of a sync on stderr until it is done; draws nothing when stderr is no terminal.
pub(crate) async fn draw(progress: &Progress) {
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>8} {bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar =
        |prefix: &'static str| bars.add(ProgressBar::new(0).with_prefix(prefix).with_style(style.clone()));
    let (headers, lists, quorums) = (bar("headers"), bar("lists"), bar("quorums"));
    let mut watch = progress.watch();
    loop {
        let state = *watch.borrow_and_update();
        headers.set_length(u64::from(state.claimed_height.max(state.header_height)));
        headers.set_position(u64::from(state.header_height));
        lists.set_length(state.planned_lists);
        lists.set_position(state.proven_lists);
        let left = state.lists_eta.filter(|left| state.phase == Phase::Lists && !left.is_zero());
        lists.set_message(left.map(|left| format!("about {} left", HumanDuration(left))).unwrap_or_default());
        quorums.set_length(state.planned_quorums);
        quorums.set_position(state.judged_quorums);
        if state.phase == Phase::Done || watch.changed().await.is_err() {
            bars.clear().ok();
            return;
        }
    }
}
