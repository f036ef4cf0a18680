use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use spv_integration::progress::Progress;
use spv_integration::quorums::BestChainLock;
use spv_integration::session::{EndState, QuorumsOfType, Step, Summary};
use spv_integration::store::{FILE_NAME, Store};
use spv_integration::{Client, counted};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::answers::Data;
use crate::config::{Layers, LogArgs, SyncArgs};
use crate::exit::Exit;
use crate::live::Live;
use crate::output::bad;
use crate::progress::{Details, Display};
use crate::serve::{Endpoint, Events};
use crate::telemetry::Telemetry;
use crate::{output, service_metrics, signals, systemd};

pub(crate) async fn run(args: SyncArgs, log: &LogArgs, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    let layers = args.layers(log)?;
    let config = &layers.config;
    let params = config.chain_params()?;
    let endpoint = Endpoint::bind(config).await?;
    let directory = config.data_dir()?;
    // Before the database is opened: a process that is stopped meanwhile did not die of a damaged file.
    let cancel = signals::cancelled_by_signals()?;
    let store = Arc::new(Store::create_or_replace(&directory, &params.network)?);
    let database = directory.join(FILE_NAME);
    let state = Progress::default();
    let live = Arc::new(Live::new(config, &params, state.clone(), store.watch_chain_lock()?, cancel.clone()));
    let events = Events::new();
    let client = Client::new(params, config.clone(), store)?;
    let serving = {
        let data = Data::new(client.clone(), Some(live.clone()));
        AbortOnDropHandle::new(tokio::spawn(endpoint.serve(data, live.clone(), events.clone())))
    };
    let observing = {
        let (client, events, state) = (client.clone(), events.clone(), state.clone());
        let observe = async move {
            // The sync goes on; only readers of events miss something.
            match events.observe(&client, &state).await {
                Ok(never) => match never {},
                Err(error) => tracing::warn!(%error, "ChainLocks cannot be watched, so no events are told"),
            }
        };
        AbortOnDropHandle::new(tokio::spawn(observe))
    };
    let details = match (log.quiet, args.verbose) {
        (true, _) => Details::Nothing,
        (false, true) => Details::EachPeer,
        (false, false) => Details::Summary,
    };
    let display = Display::new(telemetry.drawn(), details);
    let work = async {
        if args.follow {
            return follow(&client, &state, &live, &events, &display, &cancel, args.json).await;
        }
        let (summary, ()) = tokio::join!(client.sync(&state, &cancel), display.draw(&state, None));
        let summary = summary?;
        if args.json {
            output::json(&summary)?;
        } else {
            output::text(&describe(&summary))?;
        }
        Ok(Exit::from(&summary))
    };
    let exit = tokio::select! {
        exit = work => exit,
        never = live.beat() => match never {},
        never = service_metrics::look_at(&database) => match never {},
        never = reload(&args, log, &layers, telemetry) => never.map(|never| match never {}),
    };
    systemd::stopping();
    drop((serving, observing));
    exit
}

/// Takes up what can be changed while it runs, on every SIGHUP. That is for a service; what has a terminal ends with it,
/// and so does a single sync.
async fn reload(
    args: &SyncArgs,
    log: &LogArgs,
    running: &Layers,
    telemetry: &Telemetry,
) -> anyhow::Result<Infallible> {
    if !args.follow {
        std::future::pending::<()>().await;
    }
    let Some(mut reloads) = signals::reloads()? else { return std::future::pending().await };
    loop {
        if reloads.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        let taken = args.layers(log).and_then(|layers| {
            telemetry.reload(&layers.config.log)?;
            Ok(layers)
        });
        match taken {
            Ok(layers) => {
                tracing::info!(level = %layers.config.log.level, "configuration reloaded");
                let for_restart = running.differences(&layers).into_iter().filter(|key| key != "log.level");
                for key in for_restart {
                    tracing::warn!(%key, "changed in the configuration; takes effect after a restart");
                }
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the configuration stays as it was");
            }
        }
    }
}

/// Prints what was reached for each tip, until interrupted; the last one decides how the process ends.
async fn follow(
    client: &Client,
    progress: &Progress,
    live: &Live,
    events: &Events,
    display: &Display,
    cancel: &CancellationToken,
    json: bool,
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Interrupted;
    let mut printed = Ok(());
    let on_step = |step: &Step| {
        exit = Exit::from(&step.summary);
        live.reached(step);
        events.tip(step);
        printed =
            display.suspend(|| if json { output::json(step) } else { output::text(&describe_step(step)) });
        if printed.is_err() {
            // Nobody reads any more.
            cancel.cancel();
        }
    };
    let following = client.follow(progress, on_step, cancel);
    systemd::ready();
    let (followed, ()) = tokio::join!(following, display.draw(progress, Some(live)));
    followed?;
    printed?;
    Ok(exit)
}

/// One line for a person.
fn describe_step(step: &Step) -> String {
    let Summary { state, tip, lists, quorums, seconds, .. } = &step.summary;
    let rolled_back =
        step.rolled_back_to.map(|height| format!(" (rolled back to {height})")).unwrap_or_default();
    let reason = step.summary.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!(
        "{}: height {} {}{rolled_back}, {} and {} proven, {:.2} s{reason}",
        in_words(state),
        tip.height,
        tip.hash,
        counted(lists.verified, "list"),
        counted(quorums.verified, "quorum"),
        seconds.total,
    )
}

fn in_words(state: &EndState) -> String {
    if *state == EndState::Synced { state.in_words().to_owned() } else { bad(state.in_words()) }
}

/// The summary for a person.
pub(crate) fn describe(summary: &Summary) -> String {
    let mut text = format!(
        "{}: {} at height {} after {:.2} s (connect {:.2}, headers {:.2}, lists {:.2}, quorums {:.2})\n",
        in_words(&summary.state),
        summary.network,
        summary.tip.height,
        summary.seconds.total,
        summary.seconds.connect,
        summary.seconds.headers,
        summary.seconds.lists,
        summary.seconds.quorums,
    );
    if let Some(reason) = &summary.reason {
        line(&mut text, "why", format_args!("{reason}"));
    }
    line(
        &mut text,
        "lists",
        format_args!(
            "{} proven from height {}; {}",
            summary.lists.verified,
            summary.from_height,
            counted(summary.headers, "header"),
        ),
    );
    if let Some(masternodes) = summary.masternodes {
        line(
            &mut text,
            "masternodes",
            format_args!(
                "{} at the tip, {} valid, {} Evo",
                masternodes.count, masternodes.valid, masternodes.evo,
            ),
        );
    }
    describe_quorums(&mut text, summary);
    let requests = &summary.requests;
    line(
        &mut text,
        "requests",
        format_args!(
            "{} qrinfo, {} mnlistdiff, {} getheaders; {} refused, {} retried, {} late",
            requests.qrinfo,
            requests.mnlistdiff,
            requests.getheaders,
            requests.refused,
            requests.retried,
            requests.late,
        ),
    );
    line(
        &mut text,
        "bytes",
        format_args!("{} received, {} wasted", summary.bytes.received, summary.bytes.wasted),
    );
    for peer in &summary.peers {
        let rtt = peer.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms"));
        let remark = peer.remark.as_ref().map(|remark| format!("  [{remark}]")).unwrap_or_default();
        line(
            &mut text,
            "peer",
            format_args!(
                "{}  {}, {} refused, {} failed, rtt {rtt}, at most {} in flight{remark}",
                peer.address,
                counted(peer.requests, "request"),
                peer.refused,
                peer.failed,
                peer.max_in_flight,
            ),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

fn describe_quorums(text: &mut String, summary: &Summary) {
    let quorums = &summary.quorums;
    let at_tip = |count: fn(&QuorumsOfType) -> u64| quorums.by_type.values().map(count).sum::<u64>();
    let active = at_tip(|of_type| of_type.proven);
    if quorums.verified == 0 && quorums.not_verified.is_empty() {
        return line(text, "quorums", format_args!("{active} active at the tip (signatures not checked)"));
    }
    let reasons: Vec<String> =
        quorums.not_verified.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let not_verified =
        if reasons.is_empty() { String::new() } else { format!("; not verified: {}", reasons.join(", ")) };
    line(
        text,
        "quorums",
        format_args!(
            "{} verified in the range ({} checked now), {} of {active} active at the tip{not_verified}",
            quorums.verified,
            quorums.checked,
            at_tip(|of_type| of_type.verified),
        ),
    );
    if quorums.failed > 0 {
        let failed = at_tip(|of_type| of_type.failed);
        let wrong = bad(&format!("{} found WRONG", counted(quorums.failed, "quorum")));
        line(text, "warning", format_args!("{wrong}, {failed} at the tip"));
    }
    match &summary.chain_lock {
        Some(lock) if lock.verified => {
            let below = summary.tip.height.saturating_sub(lock.height);
            line(text, "chainlock", format_args!("of block {} verified, {below} below the tip", lock.height))
        }
        Some(BestChainLock { height, reason, .. }) => {
            let reason = reason.as_deref().unwrap_or_default();
            line(
                text,
                "chainlock",
                format_args!("of block {height} in the tip's coinbase {}: {reason}", bad("NOT verified")),
            );
        }
        None => {}
    }
}

fn line(text: &mut String, label: &str, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(text, "  {label:<12}{line}").ok();
}
