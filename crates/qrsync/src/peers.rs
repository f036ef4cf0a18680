use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use spv_integration::counted;
use spv_integration::discovery::{KnownPeer, Standing, ban, known_peers, unban};

use crate::args::{PeersArgs, PeersCommand};
use crate::exit::Exit;
use crate::{output, query};

pub(crate) fn run(args: &PeersArgs) -> anyhow::Result<Exit> {
    let client = match &args.command {
        None => query::open(args.data())?,
        Some(_) => query::open_to_change(args.data())?,
    };
    let (store, as_json) = (client.store(), args.data().json);
    match &args.command {
        None => {
            let peers = known_peers(store)?;
            if as_json { output::json(&json!({ "peers": peers }))? } else { output::text(&table(&peers))? }
        }
        Some(PeersCommand::Ban { address, hours, .. }) => {
            let length = Duration::from_secs(u64::from(*hours) * 3_600);
            ban(store, *address, length)?;
            if as_json {
                output::json(&json!({ "address": address, "ban_seconds": length.as_secs() }))?;
            } else {
                output::text(&format!("{address} is banned for {}", counted(*hours, "hour")))?;
            }
        }
        Some(PeersCommand::Unban { address, .. }) => {
            let was_banned = unban(store, *address)?;
            if as_json {
                output::json(&json!({ "address": address, "was_banned": was_banned }))?;
            } else {
                let what = if was_banned { "is banned no more" } else { "was not banned" };
                output::text(&format!("{address} {what}"))?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn table(peers: &[KnownPeer]) -> String {
    let is_banned = |standing: Standing| matches!(standing, Standing::Banned { .. });
    let banned = peers.iter().filter(|peer| is_banned(peer.standing)).count();
    let mut text = format!("{} known, {banned} of them banned\n", counted(peers.len(), "node"));
    if !peers.is_empty() {
        let header = ("address", "score", "served", "refused", "failed", "wrong", "unreachable", "rtt");
        let (address, score, served, refused, failed, wrong, unreachable, rtt) = header;
        line(
            &mut text,
            format_args!(
                "{address:<47} {score:>5} {served:>7} {refused:>7} {failed:>7} {wrong:>5} {unreachable:>11} {rtt:>9}"
            ),
        );
    }
    for KnownPeer { address, score, standing, record } in peers {
        let rtt = record.rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{} ms", rtt.as_millis()));
        let ban = if is_banned(*standing) { format!("  {standing}") } else { String::new() };
        line(
            &mut text,
            format_args!(
                "{:<47} {score:>5.2} {:>7} {:>7} {:>7} {:>5} {:>11} {rtt:>9}{ban}",
                address.to_string(),
                record.served,
                record.refused,
                record.failed,
                record.lied,
                record.failures,
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
