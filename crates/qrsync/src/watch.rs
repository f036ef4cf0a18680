use anyhow::Context;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::args::DataArgs;
use crate::ask::{Event, EventLines, Source};
use crate::exit::Exit;
use crate::{output, signals};

/// Shows events until it is interrupted or the service ends.
pub(crate) async fn run(args: DataArgs) -> anyhow::Result<Exit> {
    let cancel = signals::cancelled_by_signals()?;
    let service = Source::service(&args).await?;
    let mut body = service.events().await?;
    let mut lines = EventLines::default();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = cancel.cancelled() => return Ok(Exit::Interrupted),
        };
        let ended = || format!("{service} has ended");
        let frame = frame.with_context(ended)?.with_context(ended)?;
        for event in frame.data_ref().map(|bytes| lines.feed(bytes)).unwrap_or_default() {
            if args.json {
                output::json(&json!({ "event": event.name, "data": event.data }))?;
            } else if let Some(line) = describe(&event) {
                output::text(&line)?;
            }
        }
    }
}

/// One line for a person about a tip, a lock or trouble.
fn describe(Event { name, data }: &Event) -> Option<String> {
    let text = |key: &str| match data.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    };
    let because = |key: &str| match text(key) {
        reason if reason.is_empty() => reason,
        reason => format!(": {reason}"),
    };
    Some(match name.as_str() {
        "tip" => {
            let back = text("rolled_back_to");
            let back = if back.is_empty() { back } else { format!(" (rolled back to {back})") };
            format!(
                "tip        {} {}  {}{back}{}",
                text("height"),
                text("hash"),
                text("state"),
                because("reason")
            )
        }
        "chain_lock" => format!("chainlock  {} {}", text("height"), text("hash")),
        "phase" => format!("phase      {}", text("phase")),
        "peer" => format!("peer       {} {}{}", text("address"), text("state"), because("reason")),
        "quorum" => {
            let name = text("type_name");
            format!(
                "quorum     {} {name} {} {}",
                text("change"),
                text("quorum_hash"),
                text("proof").replace('_', " ")
            )
        }
        "missed" => format!("missed     {} events; this reader is too slow", text("count")),
        // Of a later version.
        _ => return None,
    })
}
