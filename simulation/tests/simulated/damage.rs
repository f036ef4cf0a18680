//! A database that turns out to be damaged in the middle of a sync is set aside, once, and the sync begins anew.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableDatabase, TableDefinition};
use simulation::{nodes, surroundings};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Step, follow_with, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, World};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// As the store has it: a header, its hash, and the digest of the row.
const HEADERS: TableDefinition<'_, u32, (&[u8; 80], &[u8; 32], u64)> = TableDefinition::new("headers");

struct Scene {
    world: Arc<World>,
    network: Arc<InMemoryNetwork>,
    config: Config,
    directory: TempDir,
}

impl Scene {
    /// Three nodes, and a directory with what a sync from them stored.
    async fn synced() -> Self {
        let spec = GeneratedSpec {
            masternodes: 8,
            cycles: 3,
            seed: 1,
            signatures: false,
            ..GeneratedSpec::default()
        };
        let world = Arc::new(World::generate(&spec));
        let network = nodes(&world, Duration::from_millis(50), &["", "", ""]);
        let config = Config {
            network: "regtest".to_owned(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            sync: Settings { verify_quorums: false, ..Settings::default() },
            ..Config::default()
        };
        let scene = Self { world, network, config, directory: tempfile::tempdir().unwrap() };
        let store =
            Arc::new(Store::create_or_open(scene.directory.path(), &scene.world.params().network).unwrap());
        assert_eq!(scene.sync(&store).await, Ok(EndState::Synced));
        scene
    }

    fn environment(&self) -> Environment {
        surroundings(&self.network, 1)
    }

    async fn sync(&self, store: &Arc<Store>) -> Result<EndState, String> {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let environment = self.environment();
        let synced =
            sync_with(&environment, self.world.params(), &self.config, store.clone(), &progress, &cancel);
        synced.await.map(|summary| summary.state).map_err(|error| error.to_string())
    }

    /// The stored database, in which a bit of a header was flipped where nobody looks when it is opened.
    fn damaged(&self) -> Arc<Store> {
        let database = redb::Database::open(self.directory.path().join("qrsync.redb")).unwrap();
        let height = self.world.tip() / 2;
        let (mut header, hash, digest) = {
            let read = database.begin_read().unwrap();
            let row = read.open_table(HEADERS).unwrap().get(height).unwrap().unwrap();
            let (header, hash, digest) = row.value();
            (*header, *hash, digest)
        };
        header[79] ^= 1;
        let write = database.begin_write().unwrap();
        write.open_table(HEADERS).unwrap().insert(height, (&header, &hash, digest)).unwrap();
        write.commit().unwrap();
        drop(database);
        Arc::new(Store::create_or_replace(self.directory.path(), &self.world.params().network).unwrap())
    }

    fn assert_whole(&self, store: &Store) {
        let chain = store.chain(self.world.params()).unwrap().unwrap();
        assert_eq!(chain.tip_height(), self.world.tip());
        assert!(store.state(self.world.params(), self.world.tip()).unwrap().is_some());
        assert_eq!(set_aside(self.directory.path()), 1);
    }
}

fn set_aside(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_str().unwrap().starts_with("qrsync.redb.damaged-")).count()
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_finds_damage_sets_the_file_aside_and_syncs_anew() {
    let scene = Scene::synced().await;
    let store = scene.damaged();
    assert_eq!(set_aside(scene.directory.path()), 0, "nothing was noticed when it was opened");
    assert_eq!(scene.sync(&store).await, Ok(EndState::Synced));
    scene.assert_whole(&store);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_finds_damage_goes_on_with_an_empty_store() {
    let scene = Scene::synced().await;
    let store = scene.damaged();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let mut states = Vec::new();
    let on_step = |step: &Step| {
        states.push(step.summary.state.clone());
        cancel.cancel();
    };
    let environment = scene.environment();
    let following = follow_with(
        &environment,
        scene.world.params(),
        &scene.config,
        store.clone(),
        &progress,
        on_step,
        &cancel,
    );
    tokio::time::timeout(Duration::from_secs(600), following).await.unwrap().unwrap();
    assert_eq!(states, [EndState::Synced]);
    scene.assert_whole(&store);
}
