use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use simulation::{nodes, surroundings};
use spv_integration::net::Connector;
use spv_integration::progress::Progress;
use spv_integration::session::{Environment, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use tokio_util::io::{InspectReader, InspectWriter};
use tokio_util::sync::CancellationToken;

use crate::worlds::WORLD;

/// What went over each connection of a sync: what nodes sent, and what they were sent.
pub(crate) static STREAMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(record);

type Streams = Arc<Mutex<HashMap<(SocketAddr, bool), Vec<u8>>>>;

fn record() -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing from the system");
    let streams = Streams::default();
    runtime.block_on(async {
        let network = nodes(&WORLD, Duration::from_millis(30), &["", "refuse=0.2"]);
        let config = Config {
            network: "regtest".to_owned(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            discover: true,
            sync: Settings { verify_quorums: false, ..Settings::default() },
            ..Config::default()
        };
        let store = Arc::new(Store::in_memory(&WORLD.params().network).expect("memory is there"));
        let (recorded, reached) = (streams.clone(), network.clone());
        let connector = Connector::new(move |address| {
            let (recorded, reached) = (recorded.clone(), reached.clone());
            async move {
                let stream = reached.connect(address).await?;
                let note = |is_ours| {
                    let recorded = recorded.clone();
                    move |bytes: &[u8]| {
                        recorded.lock().entry((address, is_ours)).or_default().extend_from_slice(bytes);
                    }
                };
                Ok(InspectWriter::new(InspectReader::new(stream, note(false)), note(true)))
            }
        });
        let environment = Environment { connector, ..surroundings(&network, 1) };
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let synced = sync_with(&environment, WORLD.params(), &config, store, &progress, &cancel);
        synced.await.expect("nodes are there");
    });
    let mut streams: Vec<_> = streams.lock().drain().collect();
    streams.sort();
    streams.into_iter().map(|(_, bytes)| bytes).collect()
}
