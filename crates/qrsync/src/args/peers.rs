use std::net::SocketAddr;

use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PeersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<PeersCommand>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

impl PeersArgs {
    pub(crate) const fn data(&self) -> &DataArgs {
        match &self.command {
            None => &self.data,
            Some(PeersCommand::Ban { data, .. } | PeersCommand::Unban { data, .. }) => data,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersCommand {
    /// Do not connect to a node for a while, unless it is given with --peer
    Ban {
        /// IP address and port of the node
        address: SocketAddr,
        /// Length of the ban, in hours
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
        #[command(flatten)]
        data: DataArgs,
    },
    /// End a ban
    Unban {
        /// IP address and port of the node
        address: SocketAddr,
        #[command(flatten)]
        data: DataArgs,
    },
}
