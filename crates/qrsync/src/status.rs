use std::time::Duration;

use indicatif::HumanDuration;

use crate::answers::{AskStatus, StatusAnswer};
use crate::args::DataArgs;
use crate::ask::Source;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(args: DataArgs) -> anyhow::Result<Exit> {
    let status = Source::find(&args).await?.ask(&AskStatus).await?;
    if args.json {
        output::json(&status)?;
    } else {
        output::text(&describe(&status))?;
    }
    Ok(Exit::Ok)
}

/// For a person.
fn describe(status: &StatusAnswer) -> String {
    let mut lines = vec![("network", status.network.clone())];
    if !status.parameters.is_empty() {
        let parameters = status.parameters.iter().map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        });
        lines.push(("parameters", parameters.collect::<Vec<_>>().join("; ")));
    }
    let none = || "none".to_owned();
    let age = status.tip_age_seconds.map(|age| format!(", made {} ago", duration(age))).unwrap_or_default();
    let tip = status.tip.as_ref().map(|tip| format!("{} {}{age}", tip.height, tip.hash));
    lines.push(("tip", tip.unwrap_or_else(none)));
    let locked = status.chain_lock.as_ref().map(|lock| {
        let below = status.tip.as_ref().and_then(|tip| tip.height.checked_sub(lock.height));
        let below = below.map(|below| format!(", {below} below the tip")).unwrap_or_default();
        format!("{} {}{below}", lock.height, lock.hash)
    });
    lines.push(("chainlock", locked.unwrap_or_else(none)));
    lines.push(("headers", status.headers.to_string()));
    let range = match (status.lowest_list, status.highest_list) {
        (Some(lowest), Some(highest)) => format!(", heights {lowest} to {highest}"),
        _ => String::new(),
    };
    lines.push(("lists", format!("{}{range}", status.lists)));
    if let Some(counts) = &status.masternodes {
        lines.push(("masternodes", format!("{}, {} valid, {} Evo", counts.count, counts.valid, counts.evo)));
    }
    if let Some(counts) = &status.quorums {
        let findings =
            counts.findings.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " ")));
        let findings = findings.collect::<Vec<_>>().join(", ");
        lines.push(("quorums", format!("{} active, {} usable: {findings}", counts.active, counts.verified)));
    }
    let size = status.size_bytes.map(|size| format!(", {} KiB", size / 1_024)).unwrap_or_default();
    lines.push(("data", format!("{}{size}", status.path)));
    match &status.service {
        None => lines.push(("asked", "the file; no service uses it".to_owned())),
        Some(service) => {
            let up = Duration::try_from_secs_f64(service.uptime_seconds).unwrap_or_default();
            let up = duration(up.as_secs());
            lines.push(("asked", format!("a service, version {}, up for {up}", status.version)));
            let ready = service
                .not_ready
                .as_ref()
                .map_or_else(|| "ready".to_owned(), |why| format!("not ready: {why}"));
            lines.push(("service", format!("{}; {ready}", service.phase)));
            lines.push(("peers", format!("{} of {} can be asked", service.usable_peers, service.peers)));
            if let Some(state) = &service.state {
                let reason = service.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                lines.push(("last sync", format!("{state}{reason}")));
            }
        }
    }
    let lines = lines.into_iter().map(|(name, value)| format!("{name:<11}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn duration(seconds: u64) -> String {
    HumanDuration(Duration::from_secs(seconds)).to_string()
}
