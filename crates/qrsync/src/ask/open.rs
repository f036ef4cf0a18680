use std::path::Path;
use std::sync::Arc;

use spv_integration::Client;
use spv_integration::config::NetworkParams;
use spv_integration::store::{Store, StoreError};

use crate::args::DataArgs;
use crate::exit::Usage;

/// Opens data that is there, of whatever network it is, with the parameters that it was made with.
pub(super) fn open(args: &DataArgs) -> anyhow::Result<Client> {
    open_with(args, Store::open_to_read)
}

/// The same, to change something.
pub(crate) fn open_to_change(args: &DataArgs) -> anyhow::Result<Client> {
    open_with(args, Store::open)
}

fn open_with(args: &DataArgs, open: fn(&Path) -> Result<Store, StoreError>) -> anyhow::Result<Client> {
    let mut config = args.network.config()?;
    let store = open(&config.data_dir()?)?;
    // `local` is a regtest with parameters of its own.
    let configured = config.chain_params().ok().filter(|params| params.network == *store.network());
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
