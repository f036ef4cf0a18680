mod peers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use spv_integration::LogSettings;

use crate::config::{LogArgs, NetworkArgs, Origin, SyncArgs};
pub(crate) use peers::{PeersArgs, PeersCommand};

const HELP: &str = "Examples:
  qrsync demo
  qrsync sync
  qrsync masternodes --json

Exit codes:
  0    done
  1    failed
  2    wrong usage or configuration
  3    no usable peer
  4    data could not be verified
  130  interrupted";

/// Downloads the masternode lists and quorums of Dash in parallel and verifies them.
#[derive(Debug, Parser)]
#[command(name = "qrsync", version, after_help = HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sync from a simulated network in this process, and compare with a sequential sync
    #[command(after_help = "Example: qrsync demo --peers 8 --rtt 100 --faults 0.2")]
    Demo(DemoArgs),
    /// Sync from real nodes
    #[command(after_help = "Examples:
  qrsync sync
  qrsync sync --network test --data-dir /var/lib/qrsync --json
  qrsync sync --follow --metrics-listen 9184
  qrsync sync --from 2200000 --trace sync.json
  qrsync sync --network regtest --llmq-params 100=4:4,102=4:4,104=4:4,106=4:4 --activation dip3=2,v20=100,mn_rr=100 --peer 127.0.0.1:19899 --from 1

Every configuration key has an environment variable, such as QRSYNC_NETWORK, QRSYNC_PEERS or
QRSYNC_SYNC_WINDOW. A flag overrides the variable. `qrsync config show` lists all keys.")]
    Sync(SyncArgs),
    /// Serve a simulated network
    #[command(after_help = "Examples:
  qrsync simnet --world generated:masternodes=200,cycles=40,seed=1 --peers 5 --listen 127.0.0.1:19899
  qrsync simnet --world generated --peers 5 --start-height 400 --block-interval 5
  qrsync simnet --world generated:masternodes=3200,cycles=200,seed=7 --peers 8
  qrsync simnet --world DIR --peers 3 --faults '0:silent;1:refuse-all;2:corrupt=every:3'")]
    Simnet(SimnetArgs),
    /// Decode a recorded message and check everything that can be checked without its context
    #[command(after_help = "Examples:
  qrsync decode qrinfo qrinfo.bin
  qrsync decode mnlistdiff diff.bin --json")]
    Decode(DecodeArgs),
    /// Show what the database contains
    #[command(after_help = "Examples:
  qrsync status
  qrsync status --data-dir /var/lib/qrsync --json")]
    Status(DataArgs),
    /// Show the masternode list at a height
    #[command(after_help = "Examples:
  qrsync masternodes --json
  qrsync masternodes --height 2240504")]
    Masternodes(QueryArgs),
    /// Show one masternode
    #[command(after_help = "Example: qrsync masternode PROTXHASH --height 2240504")]
    Masternode(MasternodeArgs),
    /// Show the active quorums at a height
    #[command(after_help = "Examples:
  qrsync quorums
  qrsync quorums --height 2240504 --json")]
    Quorums(QueryArgs),
    /// Show one active quorum with its members
    #[command(after_help = "Example: qrsync quorum 2 HASH --json")]
    Quorum(QuorumArgs),
    /// Show which verified quorum signs a ChainLock, an InstantSend lock or a Platform proof
    #[command(after_help = "Examples:
  qrsync signer chainlock --height 2240504
  qrsync signer instantsend --request-id ID --cycle-hash HASH
  qrsync signer platform --quorum-hash HASH --height 2240504")]
    Signer(SignerArgs),
    /// Check whether the right quorum signed a ChainLock or an InstantSend lock
    #[command(after_help = "Examples:
  qrsync verify chainlock HEX
  qrsync verify instantlock HEX --json

Exit codes:
  0  valid
  1  the stored data is not enough to decide; sync first, or sync again
  4  invalid, or for a block of an abandoned branch")]
    Verify(VerifyArgs),
    /// Show the remembered nodes with their scores and bans, or change bans
    #[command(after_help = "Examples:
  qrsync peers --json
  qrsync peers ban 203.0.113.5:9999 --hours 72
  qrsync peers unban 203.0.113.5:9999")]
    Peers(PeersArgs),
    /// Show the configuration
    Config(ConfigArgs),
    /// Print shell completions
    #[command(
        after_help = "Example: qrsync completions bash > ~/.local/share/bash-completion/completions/qrsync"
    )]
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one for each command
    #[command(after_help = "Example: qrsync man ~/.local/share/man/man1")]
    Man {
        /// Directory to write them to; it is created if it does not exist
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Number of nodes to simulate
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) peers: u16,
    /// Number of masternodes in the list
    #[arg(long, default_value_t = 100)]
    pub(crate) masternodes: u32,
    /// Number of cycles of quorum rotation in the chain
    #[arg(long, default_value_t = 30)]
    pub(crate) cycles: u32,
    /// Round trip to every node, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub(crate) rtt: u32,
    /// Share of answers that are dropped, refused, delayed or corrupted, from 0 to 0.9
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub(crate) faults: f64,
    /// Seed of the world and the faults
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl Command {
    /// Which level is logged, and in which format.
    pub(crate) fn log_settings(&self, log: &LogArgs) -> anyhow::Result<LogSettings> {
        let layers = log.layers(self.network())?;
        // The demo syncs twice to show one result, so its log would only distract.
        let is_quiet = matches!(self, Self::Demo(_)) && layers.origin("log.level") == Origin::Default;
        let LogSettings { level, format } = layers.config.log;
        Ok(LogSettings { level: if is_quiet { "warn".to_owned() } else { level }, format })
    }

    /// The file that a trace is written to, if one was requested.
    pub(crate) fn trace(&self) -> Option<&Path> {
        match self {
            Self::Sync(args) => args.trace(),
            _ => None,
        }
    }

    fn network(&self) -> Option<&NetworkArgs> {
        match self {
            Self::Sync(args) => Some(args.network()),
            Self::Config(ConfigArgs { command: ConfigCommand::Show(args) }) => Some(args.network()),
            Self::Status(data) => Some(&data.network),
            Self::Masternodes(query) | Self::Quorums(query) => Some(&query.data.network),
            Self::Masternode(args) => Some(&args.query.data.network),
            Self::Quorum(args) => Some(&args.query.data.network),
            Self::Signer(args) => Some(&args.command.data().network),
            Self::Verify(args) => Some(&args.command.data().network),
            Self::Peers(args) => Some(&args.data().network),
            Self::Demo(_)
            | Self::Simnet(_)
            | Self::Decode(_)
            | Self::Config(ConfigArgs { command: ConfigCommand::Reference })
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }
}

/// Explanation of `--faults`.
const FAULTS_HELP: &str = "\
Faults of all nodes, or of single nodes as INDEX:FAULTS separated by semicolons. Faults are separated by commas.

Faults of answers to getmnlistd and getqrinfo; WHEN is a probability, every:N or first:N:
  refuse=WHEN          only the pong is sent, and the node adds a point of misbehaviour
  drop=WHEN            only the pong is sent
  stall=WHEN           neither the answer nor its pong is sent
  disconnect=WHEN      the connection is closed instead; also for requests for headers
  wrong=WHEN           the honest answer to another request is sent
  corrupt=WHEN         one bit of the answer is flipped
  bad-checksum=WHEN    the frame's checksum does not fit
  forge=WHEN           one bit of the answer is flipped, the same bit by all nodes with this fault
  truncate=WHEN        half of the answer is missing, but its frame is valid
  pad=WHEN             zeros follow the answer up to 32 MiB, and its frame is valid
  delay=WHEN:TIME      the answer and all that follow it come later
  late=WHEN:TIME       the answer comes later, its pong does not
  duplicate=WHEN       the answer comes twice; with WHEN:TIME, the second time after TIME
  reorder=WHEN         the answer comes after the next one
  headers              all of these apply to getheaders and getheaders2 too
  half-headers=WHEN    headers and headers2 only: they end after the first half
  bad-headers2=WHEN    headers2 only: it cannot be decoded

How a node behaves all the time:
  silent               nothing is sent after the handshake
  refuse-all           every request is refused
  no-headers2          it offers no compressed headers and ignores getheaders2
  no-pong              requests are answered, pings are not
  mute-after=N         silent after N messages on a connection, including version
  never-read           after the handshake it reads nothing and sends nothing
  rate-limit=N         N getmnlistd a second are answered on a connection, others are not
  trickle=N            after the handshake at most N bytes a second on a connection
  behind=N             its chain ends N blocks lower than the others'
  claim=H              it claims height H in version, whatever its chain is
  withhold=H           no headers above height H; with claim=0,withhold=0 it seems to
                       be in its initial download
  junk-chain=N         N cheap blocks without lists on top of its tip, or with N:HEIGHT
                       on top of that block: valid headers, which it claims
  flood=KIND:RATE      RATE unrequested messages a second: known-headers,
                       fork-headers, big-headers, big-lists, inv, addr or ping
  clock=TIME           its clock, in version, is fast or slow: clock=6h, clock=-6h
  locks=KIND           how ChainLocks are announced: honest (behind the block), none, early (before it),
                       twice, forged";

#[derive(Debug, Args)]
pub(crate) struct SimnetArgs {
    /// The directory of a recorded chain, or generated:masternodes=N,cycles=N,seed=N; further settings, separated by
    /// commas, are quorums=small|mainnet|single|local|devnet (mainnet is the default from 1,000 masternodes on),
    /// signatures=valid|none, quiet=N for N blocks at the beginning without changes, tip-time=SECONDS for the time of
    /// the last block, and v24=HEIGHT or dip8=HEIGHT for the heights at which rules change
    #[arg(long, value_name = "DIR|SPEC")]
    pub(crate) world: String,
    /// Directory in which generated worlds with mainnet's quorums are cached, because generating them takes a while
    /// [default: $SPV_SIMNET_CACHE, or spv-simnet below the user's cache directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) world_cache: Option<PathBuf>,
    /// Number of nodes to simulate
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) peers: u16,
    /// Address of the first node; the others use the following ports. Port 0 selects free ports
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Round trip to every node, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) rtt: u32,
    /// Bytes per second that every node sends [default: unlimited]
    #[arg(long, value_name = "BYTES")]
    pub(crate) bandwidth: Option<std::num::NonZeroU64>,
    /// Time that a node needs for one answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) service_time: u32,
    /// Faults of all nodes, or of single nodes as INDEX:FAULTS separated by semicolons; --help lists them
    #[arg(long, value_name = "SPEC", default_value = "", long_help = FAULTS_HELP)]
    pub(crate) faults: String,
    /// Height of the tip at the beginning; more blocks come with --block-interval [default: the whole chain]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) start_height: Option<u32>,
    /// Seconds between two new blocks of the nodes, until the end of the chain
    #[arg(long, value_name = "SECONDS", requires = "start_height", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) block_interval: Option<u32>,
    /// Refuse getqrinfo for blocks below this height
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) refuse_qrinfo_below: Option<u32>,
    /// Protocol version of the nodes; below 70236 the diffs of a qrinfo do not build on each other, and below 70235 a
    /// node sends at most 2,000 compressed headers instead of 8,000
    #[arg(long, value_name = "VERSION")]
    pub(crate) protocol_version: Option<i32>,
    /// Print one JSON object when ready, and another one when stopped
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// Kind of the message in the file
    pub(crate) kind: MessageKind,
    /// File with the payload of the message, without the 24-byte frame
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MessageKind {
    /// Quorum rotation info
    Qrinfo,
    /// Masternode list diff
    Mnlistdiff,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Height of a stored list [default: the newest]
    #[arg(long)]
    pub(crate) height: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct MasternodeArgs {
    /// Hash of the transaction that registered the masternode
    pub(crate) pro_tx_hash: dashcore::ProTxHash,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    #[command(subcommand)]
    pub(crate) command: SignerCommand,
}

/// Request ids are 256-bit numbers in hexadecimal, in the byte order of transaction ids, as Dash Core's RPC prints
/// them.
#[derive(Debug, Subcommand)]
pub(crate) enum SignerCommand {
    /// Show the quorum that locks the block at a height
    Chainlock {
        /// Height of the block
        #[arg(long)]
        height: u32,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show the quorum that locks the inputs of a transaction
    Instantsend {
        /// Request id
        #[arg(long, value_name = "ID")]
        request_id: dashcore::Txid,
        #[command(flatten)]
        at: InstantSendAt,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show the quorum that signs for Platform
    Platform {
        /// Core chain locked height of the proof, or with --request-id the height at which the signature was requested
        #[arg(long)]
        height: u32,
        #[command(flatten)]
        which: PlatformQuorum,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) command: VerifyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Check a ChainLock
    Chainlock {
        /// Payload of the clsig message, in hexadecimal
        hex: String,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Check an InstantSend lock
    Instantlock {
        /// Payload of the isdlock message, in hexadecimal
        hex: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct InstantSendAt {
    /// Height of the tip when the signature was requested
    #[arg(long)]
    pub(crate) height: Option<u32>,
    /// Cycle hash of the lock; prints both quorums whose signature nodes accept
    #[arg(long, value_name = "HASH")]
    pub(crate) cycle_hash: Option<dashcore::BlockHash>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PlatformQuorum {
    /// Quorum hash that the proof contains
    #[arg(long, value_name = "HASH")]
    pub(crate) quorum_hash: Option<dashcore::QuorumHash>,
    /// Request id
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<dashcore::Txid>,
}

#[derive(Debug, Args)]
pub(crate) struct QuorumArgs {
    /// Quorum type, as a number
    #[arg(value_name = "TYPE")]
    pub(crate) llmq_type: u8,
    /// Quorum hash
    pub(crate) hash: dashcore::QuorumHash,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every key with its meaning, its value and the source of the value, in the format of the configuration file
    #[command(after_help = "Examples:
  qrsync config show > qrsync.toml
  qrsync config show --network test --json")]
    Show(Box<SyncArgs>),
    /// Print the meaning, default, range, variable and flag of every key, as Markdown
    #[command(after_help = "Example: qrsync config reference > configuration.md")]
    Reference,
}
