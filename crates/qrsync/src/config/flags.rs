use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::output::Colour;

use super::layers::{FILE_VARIABLE, Flag, Layers};

/// Flags for what every command says.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log level: error, warn, info, debug or trace, or levels per target as in info,spv_integration=debug [default:
    /// info]
    #[arg(long, value_name = "LEVEL", global = true, hide_possible_values = true, value_parser = Suggested(&LEVELS))]
    log_level: Option<String>,
    /// Format of log lines on stderr [default: human]
    #[arg(long, value_name = "FORMAT", global = true, value_parser = ["human", "json"])]
    log_format: Option<String>,
    /// Show no progress, and log errors alone unless --log-level is given; results are printed
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to colour the output
    #[arg(long, value_name = "WHEN", global = true, default_value_t, value_enum)]
    pub(crate) color: Colour,
}

impl LogArgs {
    /// The part of a command's configuration that concerns logs.
    pub(crate) fn layers(&self, network: Option<&NetworkArgs>) -> anyhow::Result<Layers> {
        match network {
            Some(network) => network.layers(self.flags()),
            None => Layers::merge(None, variable, self.flags()),
        }
    }

    fn flags(&self) -> impl Iterator<Item = Flag> {
        let quietly = self.quiet.then(|| Flag::new("--quiet", "log.level", Some("error"))).flatten();
        let level = Flag::new("--log-level", "log.level", self.log_level.clone()).or(quietly);
        let format = Flag::new("--log-format", "log.format", self.log_format.clone());
        [level, format].into_iter().flatten()
    }
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Network: main, test, regtest, devnet:NAME or local (a regtest as dashmate sets it up) [default: main]
    #[arg(long, hide_possible_values = true, value_parser = Suggested(&NETWORKS))]
    network: Option<String>,
    /// Quorum parameters of a regtest or devnet, for example 100=4:4,106=4:4 (type=size:threshold)
    #[arg(long, value_name = "LIST")]
    llmq_params: Option<String>,
    /// Quorum types with another role on a regtest or devnet, for example chain-locks=2,instant-send=5,platform=4
    #[arg(long, value_name = "LIST")]
    llmq_roles: Option<String>,
    /// Activation heights of a regtest or devnet, for example dip3=2,v20=300,mn_rr=300
    #[arg(long, value_name = "LIST")]
    activation: Option<String>,
    /// Target time between two blocks of a devnet, in seconds, as -powtargetspacing of its nodes [default: 150]
    #[arg(long, value_name = "SECONDS")]
    pow_target_spacing: Option<NonZeroU32>,
    /// Blocks of a devnet up to this height have the easiest target, as -minimumdifficultyblocks of its nodes [default:
    /// 0]
    #[arg(long, value_name = "HEIGHT")]
    minimum_difficulty_blocks: Option<u32>,
    /// Directory of the database [default: below the user's data directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<String>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = FILE_VARIABLE, value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl NetworkArgs {
    /// File, then environment and flags.
    pub(crate) fn merged(&self) -> anyhow::Result<Layers> {
        self.layers(self.flags())
    }

    fn layers(&self, flags: impl IntoIterator<Item = Flag>) -> anyhow::Result<Layers> {
        Layers::merge(self.config.as_deref(), variable, flags)
    }

    fn flags(&self) -> impl Iterator<Item = Flag> {
        let text = |name, key, value: &Option<String>| Flag::new(name, key, value.clone());
        let flags = [
            text("--network", "network", &self.network),
            text("--llmq-params", "llmq_params", &self.llmq_params),
            text("--llmq-roles", "llmq_roles", &self.llmq_roles),
            text("--activation", "activation", &self.activation),
            Flag::new(
                "--pow-target-spacing",
                "pow_target_spacing",
                self.pow_target_spacing.map(NonZeroU32::get),
            ),
            Flag::new(
                "--minimum-difficulty-blocks",
                "minimum_difficulty_blocks",
                self.minimum_difficulty_blocks,
            ),
            text("--data-dir", "data_dir", &self.data_dir),
        ];
        flags.into_iter().flatten()
    }
}

/// A variable that is not valid text counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Node to connect to; repeat for several [default: the network's DNS seeds]
    #[arg(long = "peer", value_name = "HOST:PORT", value_delimiter = ',')]
    peers: Vec<String>,
    /// With --peer: connect to other nodes too, which are remembered or whose addresses nodes send
    #[arg(long)]
    discover: bool,
    /// Sync every cycle's list from this height on [default: only the lists that the tip needs]
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u32>,
    /// After the sync, follow the tip block by block until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// Serve the API, metrics, health, status and a live page over HTTP at this address; a port alone means the
    /// loopback interface
    #[arg(long, value_name = "[ADDR:]PORT")]
    metrics_listen: Option<String>,
    /// Allow --metrics-listen to be an address that other machines can reach
    #[arg(long)]
    metrics_allow_remote: bool,
    /// Serve also what Platform's SDK reads from a trusted server, at port 9184 of the loopback interface if there is
    /// no --metrics-listen
    #[arg(long)]
    platform_api: bool,
    /// Print one JSON object at the end; with --follow, one for each tip, on a line of its own
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a timeline of the sync to this file, for Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    trace: Option<PathBuf>,
    /// Show a line for each peer, if stderr is a terminal
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Do not check the signatures of quorums; needed for a simnet with signatures=none
    #[arg(long)]
    skip_quorum_signatures: bool,
}

impl SyncArgs {
    pub(crate) fn network(&self) -> &NetworkArgs {
        &self.network
    }

    /// The file that a trace is written to, if one was requested.
    pub(crate) fn trace(&self) -> Option<&Path> {
        self.trace.as_deref()
    }

    /// File, then environment and flags.
    pub(crate) fn layers(&self, log: &LogArgs) -> anyhow::Result<Layers> {
        let peers = (!self.peers.is_empty()).then(|| self.peers.clone());
        let flags = [
            Flag::new("--peer", "peers", peers),
            Flag::new("--discover", "discover", self.discover.then_some(true)),
            Flag::new("--from", "from", self.from),
            Flag::new("--metrics-listen", "metrics_listen", self.metrics_listen.clone()),
            Flag::new(
                "--metrics-allow-remote",
                "metrics_allow_remote",
                self.metrics_allow_remote.then_some(true),
            ),
            Flag::new("--platform-api", "api.platform", self.platform_api.then_some(true)),
            Flag::new(
                "--skip-quorum-signatures",
                "sync.verify_quorums",
                self.skip_quorum_signatures.then_some(false),
            ),
        ];
        let flags = self.network.flags().chain(flags.into_iter().flatten()).chain(log.flags());
        self.network.layers(flags)?.checked()
    }
}

/// Levels and networks that shells complete; others are possible, and are checked with the rest of the configuration.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const NETWORKS: [&str; 5] = ["main", "test", "regtest", "devnet:", "local"];

/// Takes any text, and has these for shells to complete.
#[derive(Debug, Clone, Copy)]
struct Suggested(&'static [&'static str]);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}
