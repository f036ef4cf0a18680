mod peers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
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

/// Parallel, verified synchronisation of Dash masternode lists and quorums.
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
    /// Sync from a simulated network in this process, beside a sequential run of the same work
    #[command(after_help = "Example: qrsync demo --peers 8 --rtt 100 --faults 0.2")]
    Demo(DemoArgs),
    /// Sync from real nodes
    #[command(after_help = "Examples:
  qrsync sync
  qrsync sync --network test --data-dir /var/lib/qrsync --json
  qrsync sync --follow --metrics-listen 9184
  qrsync sync --from 2200000 --trace sync.json
  qrsync sync --network regtest --llmq-params 100=4:4 --activation dip3=2,v20=300 --peer 127.0.0.1:19899 --from 1

Every key of the configuration has an environment variable, as QRSYNC_NETWORK, QRSYNC_PEERS or
QRSYNC_SYNC_WINDOW; a flag goes before it. `qrsync config show` lists them all.")]
    Sync(SyncArgs),
    /// Serve a simulated network
    #[command(after_help = "Examples:
  qrsync simnet --world generated:masternodes=200,cycles=40,seed=1 --peers 5 --listen 127.0.0.1:19899
  qrsync simnet --world generated --peers 5 --start-height 400 --block-interval 5
  qrsync simnet --world generated:masternodes=3200,cycles=200,seed=7 --peers 8
  qrsync simnet --world DIR --peers 3 --faults '0:silent;1:refuse-all;2:corrupt=every:3'")]
    Simnet(SimnetArgs),
    /// Decode a recorded message and check what can be checked
    #[command(after_help = "Examples:
  qrsync decode qrinfo qrinfo.bin
  qrsync decode mnlistdiff diff.bin --json")]
    Decode(DecodeArgs),
    /// What is stored
    #[command(after_help = "Examples:
  qrsync status
  qrsync status --data-dir /var/lib/qrsync --json")]
    Status(DataArgs),
    /// The masternode list at a height
    #[command(after_help = "Examples:
  qrsync masternodes --json
  qrsync masternodes --height 2240504")]
    Masternodes(QueryArgs),
    /// One masternode
    #[command(after_help = "Example: qrsync masternode PROTXHASH --height 2240504")]
    Masternode(MasternodeArgs),
    /// The active quorums at a height
    #[command(after_help = "Examples:
  qrsync quorums
  qrsync quorums --height 2240504 --json")]
    Quorums(QueryArgs),
    /// One active quorum with its members
    #[command(after_help = "Example: qrsync quorum 2 HASH --json")]
    Quorum(QuorumArgs),
    /// Which verified quorum signs a ChainLock, an InstantSend lock or a Platform proof
    #[command(after_help = "Examples:
  qrsync signer chainlock --height 2240504
  qrsync signer instantsend --request-id ID --cycle-hash HASH
  qrsync signer platform --quorum-hash HASH --height 2240504")]
    Signer(SignerArgs),
    /// Whether the right quorum signed a ChainLock or an InstantSend lock
    #[command(after_help = "Examples:
  qrsync verify chainlock HEX
  qrsync verify instantlock HEX --json

Exit codes:
  0  valid
  1  it cannot be told from what is stored; sync first, or again
  4  wrong, or of an abandoned branch")]
    Verify(VerifyArgs),
    /// Nodes that are remembered: how good they are, and who is banned
    #[command(after_help = "Examples:
  qrsync peers --json
  qrsync peers ban 203.0.113.5:9999 --hours 72
  qrsync peers unban 203.0.113.5:9999")]
    Peers(PeersArgs),
    /// The configuration
    Config(ConfigArgs),
    /// Shell completions
    #[command(
        after_help = "Example: qrsync completions bash > ~/.local/share/bash-completion/completions/qrsync"
    )]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Manual pages, one for each command
    #[command(after_help = "Example: qrsync man ~/.local/share/man/man1")]
    Man {
        /// Directory to write them to; it is made where it is missing
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Nodes to simulate
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) peers: u16,
    /// Masternodes in the list
    #[arg(long, default_value_t = 150)]
    pub(crate) masternodes: u32,
    /// Cycles of quorum rotation in the chain
    #[arg(long, default_value_t = 60)]
    pub(crate) cycles: u32,
    /// Round trip to every node, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub(crate) rtt: u32,
    /// Share of answers that fail, 0 to 0.9: dropped, refused, delayed or corrupted
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
    /// What is logged, and how.
    pub(crate) fn log_settings(&self, log: &LogArgs) -> anyhow::Result<LogSettings> {
        let layers = log.layers(self.network())?;
        // What it shows is the result, and it syncs twice for that.
        let is_quiet = matches!(self, Self::Demo(_)) && layers.origin("log.level") == Origin::Default;
        let LogSettings { level, format } = layers.config.log;
        Ok(LogSettings { level: if is_quiet { "warn".to_owned() } else { level }, format })
    }

    /// Where a trace is wanted.
    pub(crate) fn trace(&self) -> Option<&Path> {
        match self {
            Self::Sync(args) => args.trace(),
            _ => None,
        }
    }

    fn network(&self) -> Option<&NetworkArgs> {
        match self {
            Self::Sync(args) | Self::Config(ConfigArgs { command: ConfigCommand::Show(args) }) => {
                Some(args.network())
            }
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
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }
}

/// What `--faults` can say.
const FAULTS_HELP: &str = "\
Faults of all nodes, or of single ones as INDEX:FAULTS separated by semicolons. Faults are separated by commas.

What goes wrong with answers to getmnlistd and getqrinfo; WHEN is a probability, every:N or first:N:
  refuse=WHEN          no answer but its pong, and a point of misbehaviour
  drop=WHEN            no answer but its pong
  stall=WHEN           neither the answer nor its pong
  disconnect=WHEN      the connection is closed instead; requests for headers too
  wrong=WHEN           the honest answer to another request
  corrupt=WHEN         one bit of the answer is flipped
  bad-checksum=WHEN    the frame's checksum does not fit
  forge=WHEN           one bit of the answer is flipped, the same by all nodes with this
  truncate=WHEN        half of the answer is missing, its frame is whole
  pad=WHEN             zeros follow the answer up to 32 MiB, its frame is whole
  delay=WHEN:TIME      the answer, and all behind it, comes later
  late=WHEN:TIME       the answer comes later, its pong does not
  duplicate=WHEN       the answer comes twice; WHEN:TIME, so much later
  reorder=WHEN         the answer comes after the next one
  headers              all these concern getheaders and getheaders2 too
  half-headers=WHEN    headers and headers2 alone: they end after the first half
  bad-headers2=WHEN    headers2 alone: it cannot be decoded

What a node is like all the time:
  silent               nothing after the handshake
  refuse-all           every request is refused
  no-headers2          it offers no compressed headers and ignores getheaders2
  no-pong              requests are answered, pings are not
  mute-after=N         silent after N messages on a connection, version and all
  never-read           after the handshake it reads nothing and says nothing
  rate-limit=N         N getmnlistd a second are answered on a connection, no others
  trickle=N            after the handshake at most N bytes a second on a connection
  behind=N             its chain ends N blocks lower than the others'
  claim=H              it claims height H in version, whatever its chain is
  withhold=H           no headers above height H; with claim=0,withhold=0 it seems to
                       be in its initial download
  junk-chain=N         N cheap blocks without lists on top of its tip, or with N:HEIGHT
                       on top of that block: valid headers, which it claims
  flood=KIND:RATE      RATE messages a second that nobody asked for: known-headers,
                       fork-headers, big-headers, big-lists, inv, addr or ping
  clock=TIME           its clock, in version, is fast or slow: clock=6h, clock=-6h
  locks=KIND           ChainLocks are announced: honest (behind the block), none, early (before it), twice, forged";

#[derive(Debug, Args)]
pub(crate) struct SimnetArgs {
    /// A recorded chain's directory, or generated:masternodes=N,cycles=N,seed=N, which
    /// ,quorums=small|mainnet|single|local|devnet and ,signatures=valid|none may follow, ,quiet=N for N blocks at the beginning
    /// in which nothing happens, ,tip-time=SECONDS for the time of the last block, and ,v24=HEIGHT or ,dip8=HEIGHT for where
    /// rules change; mainnet's quorums are the default from 1,000 masternodes on
    #[arg(long, value_name = "DIR|SPEC")]
    pub(crate) world: String,
    /// Where a generated world with mainnet's quorums is kept, as making it takes a while [default: $SPV_SIMNET_CACHE, or
    /// spv-simnet below the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) world_cache: Option<PathBuf>,
    /// Nodes to simulate
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) peers: u16,
    /// Address of the first node; the others take the following ports. Port 0 takes any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Round trip to every node, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) rtt: u32,
    /// Bytes per second that every node sends [default: unlimited]
    #[arg(long, value_name = "BYTES")]
    pub(crate) bandwidth: Option<std::num::NonZeroU64>,
    /// Time that a node takes for one answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) service_time: u32,
    /// Faults of all nodes, or of single ones as INDEX:FAULTS separated by semicolons; --help lists them
    #[arg(long, value_name = "SPEC", default_value = "", long_help = FAULTS_HELP)]
    pub(crate) faults: String,
    /// Height of the tip at the beginning; more blocks come with --block-interval [default: the whole chain]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) start_height: Option<u32>,
    /// Seconds after which the nodes get another block, until the chain is at its end
    #[arg(long, value_name = "SECONDS", requires = "start_height", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) block_interval: Option<u32>,
    /// Refuse getqrinfo for blocks below this height
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) refuse_qrinfo_below: Option<u32>,
    /// Protocol version that the nodes speak; below 70236 they build each diff of a qrinfo independently, and below 70235
    /// they send 2,000 compressed headers at most instead of 8,000
    #[arg(long, value_name = "VERSION")]
    pub(crate) protocol_version: Option<i32>,
    /// Print one JSON object when ready, and another one when stopped
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// Which message the file holds
    pub(crate) kind: MessageKind,
    /// Its payload, without the 24-byte frame
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
    /// Hash of the transaction that registered it
    pub(crate) pro_tx_hash: dashcore::ProTxHash,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    #[command(subcommand)]
    pub(crate) command: SignerCommand,
}

/// Request ids are 256-bit numbers in hexadecimal, as Dash Core's RPC prints them, which is how a transaction id is read.
#[derive(Debug, Subcommand)]
pub(crate) enum SignerCommand {
    /// The quorum that locks the block at a height
    Chainlock {
        /// Height of the block
        #[arg(long)]
        height: u32,
        #[command(flatten)]
        data: DataArgs,
    },
    /// The quorum that locks a transaction's inputs
    Instantsend {
        /// Id of the request
        #[arg(long, value_name = "ID")]
        request_id: dashcore::Txid,
        #[command(flatten)]
        at: InstantSendAt,
        #[command(flatten)]
        data: DataArgs,
    },
    /// The quorum that signs for Platform
    Platform {
        /// The proof's core chain locked height, or with --request-id the height at which it was asked for
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
    /// A ChainLock
    Chainlock {
        /// Payload of its clsig message, in hexadecimal
        hex: String,
        #[command(flatten)]
        data: DataArgs,
    },
    /// An InstantSend lock
    Instantlock {
        /// Payload of its isdlock message, in hexadecimal
        hex: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct InstantSendAt {
    /// Height of the tip when it was asked for
    #[arg(long)]
    pub(crate) height: Option<u32>,
    /// The lock's cycle hash; gives both quorums that nodes accept it from
    #[arg(long, value_name = "HASH")]
    pub(crate) cycle_hash: Option<dashcore::BlockHash>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PlatformQuorum {
    /// The quorum that the proof names
    #[arg(long, value_name = "HASH")]
    pub(crate) quorum_hash: Option<dashcore::QuorumHash>,
    /// Id of the request
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
    /// Print every key with its value and where that comes from, as a file that can be read back
    #[command(after_help = "Examples:
  qrsync config show > qrsync.toml
  qrsync config show --config qrsync.toml --json")]
    Show(SyncArgs),
}
