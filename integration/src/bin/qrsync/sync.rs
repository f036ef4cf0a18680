use std::fmt::Write;
use std::sync::Arc;

use spv_integration::store::Store;
use spv_integration::sync::{Progress, Summary, sync};

use crate::args::SyncArgs;
use crate::exit::Exit;
use crate::{output, progress, signals, telemetry};

pub(crate) async fn run(args: SyncArgs) -> anyhow::Result<Exit> {
    let config = args.config()?;
    let params = config.chain_params()?;
    if let Some(address) = config.metrics_listen {
        telemetry::serve_metrics(address)?;
    }
    let store = Arc::new(Store::create_or_open(&config.data_dir()?, &params.network)?);
    let cancel = signals::cancelled_by_signals()?;
    let state = Progress::default();
    let (summary, ()) = tokio::join!(sync(&params, &config, store, &state, &cancel), progress::draw(&state));
    let summary = summary?;
    if args.json {
        output::json(&summary)?;
    } else {
        output::text(&describe(&summary))?;
    }
    Ok(Exit::from(&summary.state))
}

/// The summary for a person.
pub(crate) fn describe(summary: &Summary) -> String {
    let mut text = format!(
        "{}: {} at height {} after {:.2} s (connect {:.2}, headers {:.2}, lists {:.2})\n",
        summary.state.as_str(),
        summary.network,
        summary.tip.height,
        summary.seconds.total,
        summary.seconds.connect,
        summary.seconds.headers,
        summary.seconds.lists,
    );
    if let Some(reason) = &summary.reason {
        line(&mut text, format_args!("  why       {reason}"));
    }
    let quorums: u64 = summary.quorums.by_type.values().map(|of_type| of_type.proven).sum();
    line(
        &mut text,
        format_args!(
            "  lists     {} proven from height {}; {} headers; {quorums} active quorums at the tip (signatures not checked)",
            summary.lists.verified, summary.from_height, summary.headers,
        ),
    );
    let requests = &summary.requests;
    line(
        &mut text,
        format_args!(
            "  requests  {} qrinfo, {} mnlistdiff, {} getheaders; {} refused, {} retried, {} late",
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
        format_args!("  bytes     {} received, {} wasted", summary.bytes.received, summary.bytes.wasted),
    );
    for peer in &summary.peers {
        let rtt = peer.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms"));
        let remark = peer.remark.as_ref().map(|remark| format!("  [{remark}]")).unwrap_or_default();
        line(
            &mut text,
            format_args!(
                "  peer      {}  {} requests, {} refused, {} failed, rtt {rtt}, at most {} in flight{remark}",
                peer.address, peer.requests, peer.refused, peer.failed, peer.max_in_flight,
            ),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").ok();
}
