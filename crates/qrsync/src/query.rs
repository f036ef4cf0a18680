use std::path::Path;
use std::sync::Arc;

use dashcore::{BlockHash, ChainParams};
use serde::Serialize;
use spv_integration::Client;
use spv_integration::client::At;
use spv_integration::config::NetworkParams;
use spv_integration::store::{Store, StoreError};

use crate::args::{DataArgs, QueryArgs};
use crate::config::Origin;
use crate::exit::{Exit, Usage};
use crate::output;

#[derive(Serialize)]
struct Status {
    network: String,
    tip: Option<Tip>,
    /// The highest verified ChainLock.
    chain_lock: Option<Tip>,
    headers: u64,
    lists: usize,
    lowest_list: Option<u32>,
    highest_list: Option<u32>,
}

#[derive(Serialize)]
struct Tip {
    height: u32,
    hash: BlockHash,
}

pub(crate) async fn status(args: DataArgs) -> anyhow::Result<Exit> {
    let client = open(&args)?;
    let heights = client.stored_heights().await?;
    let status = Status {
        network: client.params().network.to_string(),
        tip: client.tip().await?.map(|(height, hash)| Tip { height, hash }),
        chain_lock: client
            .store()
            .chain_lock()?
            .map(|lock| Tip { height: lock.block_height, hash: lock.block_hash }),
        headers: client.store().header_count()?,
        lists: heights.len(),
        lowest_list: heights.first().copied(),
        highest_list: heights.last().copied(),
    };
    if args.json {
        output::json(&status)?;
        return Ok(Exit::Ok);
    }
    let block = |block: Option<Tip>| {
        block.map_or_else(|| "none".to_owned(), |block| format!("{} {}", block.height, block.hash))
    };
    let (tip, locked) = (block(status.tip), block(status.chain_lock));
    let range = match (status.lowest_list, status.highest_list) {
        (Some(lowest), Some(highest)) => format!(", heights {lowest} to {highest}"),
        _ => String::new(),
    };
    output::text(&format!(
        "network    {}\ntip        {tip}\nchainlock  {locked}\nheaders    {}\nlists      {}{range}",
        status.network, status.headers, status.lists
    ))?;
    Ok(Exit::Ok)
}

/// Opens data that is there with the parameters that it was made with. It may be of any network, unless one is chosen.
pub(crate) fn open(args: &DataArgs) -> anyhow::Result<Client> {
    open_with(args, Store::open_to_read)
}

/// The same, to change something.
pub(crate) fn open_to_change(args: &DataArgs) -> anyhow::Result<Client> {
    open_with(args, Store::open)
}

fn open_with(args: &DataArgs, open: fn(&Path) -> Result<Store, StoreError>) -> anyhow::Result<Client> {
    let layers = args.network.merged()?;
    let is_network_chosen = layers.origin("network") != Origin::Default;
    let mut config = layers.config;
    let path = config.data_dir()?;
    let store = open(&path)?;
    let found = store.network();
    // `local` is a regtest with parameters of its own.
    let configured = match config.chain_params() {
        Ok(params) if params.network == *found => Some(params),
        Ok(ChainParams { network, .. }) if is_network_chosen => {
            return Err(StoreError::OtherNetwork { path, found: found.clone(), expected: network }.into());
        }
        Err(error) if is_network_chosen => return Err(error.into()),
        _ => None,
    };
    config.network = store.network().to_string();
    if let Some(stored) = store.network_params()? {
        let given = NetworkParams::configured(&config);
        let configured = configured.map_or_else(|| config.chain_params(), Ok);
        if given != NetworkParams::default() && NetworkParams::of(&configured?) != stored {
            let what = "the data was made with other parameters of the network than those that are configured; leave these \
                        out, as the stored ones are used, or sync with them";
            return Err(Usage(what.to_owned()).into());
        }
        stored.configure(&mut config);
    }
    Ok(Client::new(config.chain_params()?, config, Arc::new(store))?)
}

impl QueryArgs {
    pub(crate) fn at(&self) -> At {
        self.height.map_or(At::Newest, At::Height)
    }
}
