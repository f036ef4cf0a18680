use std::path::Path;
use std::sync::Arc;

use dashcore::ChainParams;
use spv_integration::Client;
use spv_integration::config::NetworkParams;
use spv_integration::store::{Store, StoreError};

use crate::args::DataArgs;
use crate::config::Origin;
use crate::exit::Usage;

/// Opens data that is there with the parameters that it was made with. It may be of any network, unless one is chosen.
pub(super) fn open(args: &DataArgs) -> anyhow::Result<Client> {
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
