//! How an example can be run.

/// The simulated network that all examples use.
pub(super) const NETWORK: &str =
    "qrsync simnet --world generated:masternodes=200,cycles=40,seed=1 --peers 5 --listen 127.0.0.1:19899";

/// Where a service answers that follows this network, and its directory below the home directory.
pub(super) const SERVICE: &str = "127.0.0.1:19184";
pub(super) const SERVICE_DIRECTORY: &str = "service";

/// Where the texts let a service answer.
const USUAL_SERVICE: &str = "127.0.0.1:9184";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Run it with these values for its placeholders. Interrupt it after this number of seconds, if it has not ended.
    Run {
        command: String,
        seconds: u32,
    },
    LeaveOut(&'static str),
}

/// What is done with a command.
pub(super) fn of(command: &str, placeholders: &[(&'static str, String)]) -> Plan {
    let has = |text: &str| command.contains(text);
    let is_config = has("config show");
    if command == NETWORK {
        return Plan::LeaveOut("it is the network of all others, so it ran");
    }
    let asks_by_curl = command.starts_with("curl ");
    if !command.starts_with("qrsync ") && !asks_by_curl {
        return Plan::LeaveOut("no command of qrsync");
    }
    if (has("--network test") || has("--network main")) && !is_config {
        return Plan::LeaveOut("needs the public network");
    }
    if has("masternodes=3200") {
        return Plan::LeaveOut("takes minutes to generate a world of mainnet's size");
    }
    if has("--world DIR") {
        return Plan::LeaveOut("needs a recorded chain");
    }
    if has("instantlock HEX") {
        return Plan::LeaveOut("needs an InstantSend lock");
    }
    let mut adapted = command.to_owned();
    for (placeholder, value) in placeholders {
        adapted = adapted.replace(placeholder, value);
    }
    if is_config {
        // The simulated network's parameters are none of another network.
        adapted = format!("unset $(env | grep -o '^QRSYNC_[A-Z_]*'); {adapted}");
    }
    if asks_by_curl || has("--connect") {
        adapted = adapted.replace(USUAL_SERVICE, SERVICE);
    } else if has("qrsync watch") {
        adapted = format!("{adapted} --data-dir {SERVICE_DIRECTORY}");
    }
    if has("/v1/events") || has("qrsync watch") {
        // It goes on until it is interrupted, and has no result that could be right or wrong.
        adapted = format!("timeout --signal=INT 3 {adapted} || [ $? = 124 ]");
    }
    let goes_on = has("--follow") || has("qrsync simnet");
    // Its own directory: the data of the others has other parameters or is in use.
    if has("qrsync sync") {
        adapted = format!("export QRSYNC_DATA_DIR=$(mktemp -d); {}", with_exec(&adapted));
    } else if goes_on {
        adapted = with_exec(&adapted);
    }
    Plan::Run { command: adapted, seconds: if goes_on { GOES_ON_SECONDS } else { super::PATIENCE_SECONDS } }
}

/// So that the signal reaches the command and not a shell.
fn with_exec(command: &str) -> String {
    format!("exec {command}")
}

/// What serves or follows is stopped after this long.
const GOES_ON_SECONDS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_others_is_left_out_and_placeholders_get_values() {
        for command in [
            "cargo xtask ci",
            "qrsync sync --network test",
            "qrsync verify instantlock HEX --json",
            "qrsync simnet --world DIR --peers 3",
            NETWORK,
        ] {
            assert!(matches!(of(command, &[]), Plan::LeaveOut(_)), "{command}");
        }
        let placeholders = [("2240504", "7".to_owned())];
        let expected = "qrsync quorums --height 7 --json".to_owned();
        let plan = of("qrsync quorums --height 2240504 --json", &placeholders);
        assert_eq!(plan, Plan::Run { command: expected, seconds: super::super::PATIENCE_SECONDS });
        for (command, expected) in [
            ("curl -i http://127.0.0.1:9184/ready", "curl -i http://127.0.0.1:19184/ready"),
            ("qrsync watch", "timeout --signal=INT 3 qrsync watch --data-dir service || [ $? = 124 ]"),
        ] {
            assert!(
                matches!(of(command, &[]), Plan::Run { command, .. } if command == expected),
                "{command}"
            );
        }
        assert!(matches!(of("qrsync config show --network test", &[]), Plan::Run { .. }));
        assert!(matches!(of("qrsync sync --follow", &[]), Plan::Run { seconds: GOES_ON_SECONDS, .. }));
    }
}
