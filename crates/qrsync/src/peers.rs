use std::time::Duration;

use serde_json::{Map, Value, json};
use spv_integration::counted;
use spv_integration::discovery::{ban, unban};

use crate::answers::AskPeers;
use crate::args::{PeersArgs, PeersCommand};
use crate::ask::{Source, open_to_change};
use crate::exit::{Exit, Usage};
use crate::output;
use crate::table::Table;

pub(crate) async fn run(args: PeersArgs) -> anyhow::Result<Exit> {
    let as_json = args.data().json;
    if args.command.is_some() && args.data().connect.is_some() {
        let what = "a service cannot be told to ban; stop it, and change its data directory with --data-dir";
        return Err(Usage(what.to_owned()).into());
    }
    match &args.command {
        None => {
            let answer = Source::find(args.data()).await?.ask(&AskPeers).await?;
            if as_json { output::json(&answer)? } else { output::text(&table(&answer.peers))? }
        }
        Some(PeersCommand::Ban { address, hours, .. }) => {
            let length = Duration::from_secs(u64::from(*hours) * 3_600);
            ban(open_to_change(args.data())?.store(), *address, length)?;
            if as_json {
                output::json(&json!({ "address": address, "ban_seconds": length.as_secs() }))?;
            } else {
                output::text(&format!("{address} is banned for {}", counted(*hours, "hour")))?;
            }
        }
        Some(PeersCommand::Unban { address, .. }) => {
            let was_banned = unban(open_to_change(args.data())?.store(), *address)?;
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

fn table(peers: &[Map<String, Value>]) -> String {
    let is_banned = |peer: &&Map<String, Value>| {
        peer.get("standing").is_some_and(|standing| standing.get("state") == Some(&"banned".into()))
    };
    let banned = peers.iter().filter(is_banned).count();
    let mut text = format!("{} known, {banned} of them banned", counted(peers.len(), "node"));
    let head = ["address", "score", "served", "refused", "failed", "wrong", "unreachable", "rtt", ""];
    let mut table = Table::new(head);
    for peer in peers {
        let number = |key| match peer.get(key) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(value) => value.to_string(),
        };
        let rounded = |key, places: usize, unit| match peer.get(key).and_then(Value::as_f64) {
            Some(value) => format!("{value:.places$}{unit}"),
            None => "-".to_owned(),
        };
        let standing = peer.get("standing").filter(|_| is_banned(&peer));
        let reason = standing.and_then(|standing| standing.get("reason")).and_then(Value::as_str);
        table.row([
            peer.get("address").and_then(Value::as_str).unwrap_or("-").to_owned(),
            rounded("score", 2, ""),
            number("served"),
            number("refused"),
            number("failed"),
            number("lied"),
            number("failures"),
            rounded("rtt_ms", 0, " ms"),
            reason.unwrap_or_default().to_owned(),
        ]);
    }
    if !peers.is_empty() {
        text.push('\n');
        text.push_str(&table.text());
    }
    text
}
