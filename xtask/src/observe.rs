//! The alert rules, by their own tests and against a real Prometheus that watches a real qrsync.

mod prometheus;
mod tools;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::child::Child;
use crate::tidy::dashboards;
use prometheus::Prometheus;
use tools::Tools;

pub(crate) fn run(sh: &Shell, install: bool) -> Result<()> {
    let tools = Tools::find(sh, install)?;
    check_rules(sh, &tools)?;
    watch_a_client(sh, &tools)
}

fn check_rules(sh: &Shell, tools: &Tools) -> Result<()> {
    let promtool = &tools.promtool;
    cmd!(sh, "{promtool} check config observability/prometheus.yml").run()?;
    // Rule files are named from where the tests lie.
    let _inside = sh.push_dir("observability");
    Ok(cmd!(sh, "{promtool} test rules tests.yml").run()?)
}

fn watch_a_client(sh: &Shell, tools: &Tools) -> Result<()> {
    cmd!(sh, "cargo build --locked -p qrsync").run()?;
    let qrsync = crate::workspace::target_directory(sh)?.join("debug/qrsync");
    let directory = tempfile::tempdir()?;

    // Blocks for longer than this takes.
    let world = "generated:masternodes=60,cycles=30,seed=7";
    let simnet = format!("simnet --world {world} --peers 3 --start-height 400 --block-interval 2");
    let mut nodes = Child::start(&qrsync, simnet.split(' '))?;
    let how_to_sync = nodes.line_that_starts_with("  qrsync sync ")?;

    let metrics = free_address()?.to_string();
    let data = directory.path().join("data").display().to_string();
    let arguments = how_to_sync.split_whitespace().skip(1).chain([
        "--follow",
        "--metrics-listen",
        &metrics,
        "--data-dir",
        &data,
    ]);
    let _client = Child::start(&qrsync, arguments)?;

    let prometheus = start_prometheus(sh, tools, directory.path(), &metrics)?;
    prometheus.wait_for(r#"up{job="qrsync"} == 1"#)?;
    prometheus.wait_for("qrsync:synced:bool == 1 and on (instance) qrsync_ready == 1")?;
    prometheus.wait_for("changes(qrsync_tip_height[10s]) > 1 and on (instance) qrsync_connections == 3")?;
    let firing = prometheus.query(FIRING)?;
    ensure!(firing.is_empty(), "nothing is wrong, and this fires: {firing:?}");

    ask_dashboards(sh, &prometheus)?;

    eprintln!("stopping the nodes");
    drop(nodes);
    for alert in ["QrsyncNoPeers", "QrsyncTipStale"] {
        prometheus.wait_for(&format!(r#"ALERTS{{alertname="{alert}", alertstate="firing"}}"#))?;
    }
    for alert in prometheus.query(FIRING)? {
        eprintln!("firing: {alert}");
    }
    Ok(())
}

/// Every query of every dashboard is understood; those without a result are named, since rare events have none.
fn ask_dashboards(sh: &Shell, prometheus: &Prometheus) -> Result<()> {
    for path in sh.read_dir("observability/dashboards")? {
        let dashboard = serde_json::from_str(&sh.read_file(&path)?)?;
        for (title, query) in dashboards::queries(&dashboard) {
            let query =
                query.replace("$__rate_interval", "10s").replace("$job", ".+").replace("$instance", ".+");
            if prometheus.query(&query).with_context(|| format!("panel {title:?}"))?.is_empty() {
                eprintln!("panel {title:?} shows nothing now");
            }
        }
    }
    Ok(())
}

/// With the rules of the repository, in time lapse: what they say in minutes is taken in seconds.
fn start_prometheus(sh: &Shell, tools: &Tools, directory: &Path, metrics: &str) -> Result<Prometheus> {
    let files = ["prometheus.yml", "recording-rules.yml", "alerts.yml"];
    for file in files {
        let text = sh.read_file(Path::new("observability").join(file))?;
        ensure!(file != files[0] || text.contains(SCRAPED), "prometheus.yml no longer scrapes {SCRAPED}");
        let text = in_time_lapse(&text).replace(SCRAPED, metrics);
        sh.write_file(directory.join(file), text)?;
    }
    let address = free_address()?;
    let arguments = [
        format!("--config.file={}", directory.join(files[0]).display()),
        format!("--storage.tsdb.path={}", directory.join("series").display()),
        format!("--web.listen-address={address}"),
        "--log.level=warn".to_owned(),
    ];
    let child = Child::start(&tools.prometheus, arguments.iter().map(String::as_str))?;
    Ok(Prometheus::new(child, address))
}

fn in_time_lapse(text: &str) -> String {
    let text = text.replace("_interval: 15s", "_interval: 1s");
    let mut result = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let ends = characters.peek().is_none_or(|next| !next.is_alphanumeric() && *next != '_');
        let is_minute = character == 'm' && previous.is_ascii_digit() && ends;
        result.push(if is_minute { 's' } else { character });
        previous = character;
    }
    result
}

/// One that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?)
}

const SCRAPED: &str = "127.0.0.1:9184";
const FIRING: &str = r#"ALERTS{alertstate="firing"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_become_seconds_and_nothing_else_changes() {
        let text =
            "scrape_interval: 15s\nfor: 30m\nexpr: increase(a_30m_b[10m]) > (b offset 15m or sum(x) * 0)";
        let expected =
            "scrape_interval: 1s\nfor: 30s\nexpr: increase(a_30m_b[10s]) > (b offset 15s or sum(x) * 0)";
        assert_eq!(in_time_lapse(text), expected);
    }
}
