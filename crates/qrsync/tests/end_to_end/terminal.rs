//! What is drawn on a terminal.

use std::fs::OpenOptions;
use std::io::Read;
use std::num::NonZeroU16;
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use spv_simnet::PeerConfig;

use crate::support::process::{Running, qrsync, run, sync_command};
use crate::support::{generated_world, start};

const ROWS: u16 = 40;

/// What a sync from nodes that take their time writes to a terminal of this width.
async fn drawn(columns: u16, more: &[&str], color: Option<&str>) -> Vec<u8> {
    let slow = PeerConfig { service_time: Duration::from_millis(200), ..PeerConfig::default() };
    let network = start(&generated_world(), vec![slow; 2]).await;
    let data = tempfile::tempdir().unwrap();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let open = || OpenOptions::new().write(true).open(name.to_str().unwrap()).unwrap();
    let keeps_it_open = open();
    let mut command = sync_command(&network.addresses(), data.path());
    command.env("TERM", "xterm").args(more).stdout(Stdio::piped()).stderr(Stdio::from(open()));
    if let Some(none) = color {
        command.env("NO_COLOR", none);
    }
    let mut process = command.spawn().unwrap();
    drop(command);
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut terminal = std::fs::File::from(terminal);
        // Ends with an error once nobody has the other side open.
        terminal.read_to_end(&mut bytes).ok();
        bytes
    });
    let status = tokio::task::spawn_blocking(move || process.wait().unwrap()).await.unwrap();
    assert!(status.success());
    drop(keeps_it_open);
    reading.join().unwrap()
}

/// Every screen that was to be seen, the last one at the end.
fn screens(columns: u16, bytes: &[u8]) -> Vec<String> {
    let mut terminal =
        vt100::Parser::new(NonZeroU16::new(ROWS).unwrap(), NonZeroU16::new(columns).unwrap(), 0);
    let mut screens = Vec::new();
    for part in bytes.split_inclusive(|byte| *byte == b'\x1b') {
        terminal.process(part);
        screens.push(terminal.screen().contents());
    }
    screens
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_fits_the_terminal_and_leaves_nothing_behind() {
    for columns in [40, 80, 200] {
        let bytes = drawn(columns, &["--log-level", "info"], None).await;
        let screens = screens(columns, &bytes);
        let with_bar = screens.iter().filter(|screen| screen.contains('░'));
        let bars: Vec<&str> =
            with_bar.flat_map(|screen| screen.lines().filter(|line| line.contains('░'))).collect();
        assert!(
            bars.iter().any(|line| line.starts_with("lists ") && line.contains('%')),
            "{columns}: {bars:?}"
        );
        for line in bars {
            // One that is broken over two lines would not have both.
            assert!(line.contains('%') && line.contains("0:0"), "{columns}: {line}");
        }
        let last = screens.last().unwrap();
        let joined = last.replace('\n', "");
        assert!(!last.contains(['█', '░']) && joined.contains("synced tip=503"), "{columns}: {last}");
        let said = ["starting", "headers are valid", "lists are proven", "quorums are checked"];
        assert!(said.iter().all(|said| joined.contains(said)), "a line of the log is damaged: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_is_quiet_and_colour_is_as_wanted() {
    let is_coloured = |bytes: &[u8]| bytes.windows(3).any(|window| matches!(window, b"\x1b[3" | b"\x1b[2"));
    assert_eq!(drawn(80, &["--quiet"], None).await, b"");
    let plain = drawn(80, &["--log-level", "info"], Some("1")).await;
    assert!(!is_coloured(&String::from_utf8_lossy(&plain).replace("\x1b[2K", "").into_bytes()));
    let error = |color: &str| {
        let finished = run(["--color", color, "status", "--data-dir", "/nonexistent"]);
        assert_eq!(finished.code(), Some(1));
        finished.stderr().to_owned()
    };
    assert!(error("always").starts_with("\x1b[31m\x1b[1merror:\x1b[0m "), "{:?}", error("always"));
    assert!(error("never").starts_with("error: ") && error("auto").starts_with("error: "));
    let finished = Running::start(qrsync().args(["--color", "sometimes", "status"])).finish();
    finished.is_usage_error(&["sometimes", "auto, always, never"]);
}
