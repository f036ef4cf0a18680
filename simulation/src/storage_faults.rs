//! A sync whose disk fails: killed at any moment, opened again, until it gets there.

mod fault;
mod panics;
mod reference;
mod survived;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Summary, SyncError, sync_with};
use spv_integration::store::{Store, StoreError};
use spv_integration::verify::Verification;
use spv_simnet::InMemoryNetwork;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::disk::Disk;
use crate::failure::Failure;
use crate::surroundings::{nodes, surroundings};
use fault::Fault;
use reference::{Difference, REFERENCE, Reference, config};
pub use survived::Survived;

/// A sync from honest nodes that has proven and stored nothing new for this long hangs.
const STALLED: Duration = Duration::from_secs(60);

/// One attempt, of the tenth of a second that an undisturbed one takes.
const LONGEST: Duration = Duration::from_secs(600);

/// How often what is stored is looked at, and progress.
const GLANCE: Duration = Duration::from_millis(5);

/// Syncs from honest nodes on a disk that fails and is opened again, several times; in the end the power stays on, and what
/// is stored must equal what an undisturbed sync stores. Of sixteen seeds, four flip bits too, and one has a slow disk
/// below threads that verify, in real time.
///
/// # Errors
/// The first thing that must not happen: a panic that was not contained, a sync that hangs, a row that is wrong, a list
/// that was stored and is gone, or an error where there was no fault that explains it.
///
/// # Panics
/// When no runtime can be made.
pub fn survive(seed: u64) -> Result<Survived, Failure> {
    let reference = &*REFERENCE;
    panics::watch();
    let is_slow = seed % 16 == 9;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(!is_slow)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    let mut rng = Rng::with_seed(seed);
    let disk = Disk::new(rng.u64(..));
    let inside = runtime.enter();
    let network = nodes(&reference.world, Duration::from_millis(rng.u64(5..60)), &["", "", ""]);
    let ordeal = Ordeal {
        reference,
        network,
        disk,
        is_slow,
        flips: seed % 4 == 3,
        known: BTreeSet::new(),
        survived: Survived::default(),
        rng,
    };
    drop(inside);
    let result = panics::caught(|| runtime.block_on(ordeal.run()));
    // Threads that still work have no disk any more.
    runtime.shutdown_timeout(LONGEST);
    match panics::uncontained() {
        Some(what) => Err(Failure::Panicked { what }),
        None => result.unwrap_or_else(|what| Err(Failure::Panicked { what })),
    }
}

/// The database that an undisturbed sync leaves.
pub fn stored_bytes() -> &'static [u8] {
    &REFERENCE.image
}

/// Opens that database with some bytes changed, and compares every row. `false`: the store said that it is damaged. Rows
/// may be missing, as a row whose key has changed is.
///
/// # Errors
/// When a row is wrong, or a panic was not contained.
pub fn read_changed(change: impl FnOnce(&mut [u8])) -> Result<bool, Failure> {
    let reference = &*REFERENCE;
    panics::watch();
    let mut bytes = reference.image.clone();
    change(&mut bytes);
    let read = panics::caught(|| {
        let Ok(store) = Store::on(Disk::holding(&bytes).plug_in(), &reference.world.params().network) else {
            return Ok(false);
        };
        match reference.compare(&store, false) {
            Ok(_) => Ok(true),
            Err(Difference::Failed(StoreError::Panicked { what, .. })) => Err(Failure::Panicked { what }),
            Err(Difference::Failed(_)) => Ok(false),
            Err(Difference::Wrong(what)) => Err(Failure::WrongRow { what }),
        }
    });
    match panics::uncontained() {
        Some(what) => Err(Failure::Panicked { what }),
        None => read.unwrap_or_else(|what| Err(Failure::Panicked { what })),
    }
}

struct Ordeal {
    reference: &'static Reference,
    network: Arc<InMemoryNetwork>,
    disk: Disk,
    is_slow: bool,
    /// Whether bits flip, after which rows may be missing and errors are due.
    flips: bool,
    /// Heights of lists that were stored, durably.
    known: BTreeSet<u32>,
    survived: Survived,
    rng: Rng,
}

/// How an attempt to sync ended.
enum Ended {
    ByItself(Box<Result<Summary, SyncError>>),
    Killed,
}

impl Ordeal {
    async fn run(mut self) -> Result<Survived, Failure> {
        for _ in 0..self.rng.u32(2..=5) {
            let fault = Fault::draw(&mut self.rng, self.reference, self.flips);
            self.attempt(fault).await?;
        }
        self.disk.set_room(None);
        self.finish().await?;
        Ok(self.survived)
    }

    /// Opens what is there, syncs until the fault ends that, and leaves the disk as it then is.
    async fn attempt(&mut self, fault: Fault) -> Result<(), Failure> {
        self.survived.count(fault);
        tracing::info!(?fault, "another attempt");
        self.disk.set_room(None);
        let store = self.open()?;
        self.look(&store, false)?;
        match fault {
            Fault::PowerGoesAt(operation) => self.disk.power_off_after(operation),
            Fault::Full(room) => self.disk.set_room(Some(room)),
            Fault::Slow(pause) if self.is_slow => self.disk.set_pause(pause),
            Fault::Kill(_) | Fault::Flips(_) | Fault::Slow(_) => {}
        }
        let ended = self.sync(&store, fault.moment(), fault.flips()).await?;
        self.disk.set_pause(Duration::ZERO);
        match ended {
            Ended::ByItself(result) => match *result {
                Ok(summary) if summary.state == EndState::Synced => self.look(&store, true)?,
                Ok(summary) => return Err(Failure::WrongEnd(summary.state)),
                Err(_) if fault.explains_errors() || self.flips => self.survived.errors += 1,
                Err(error) => return Err(Failure::Error(format!("{fault:?}: {error}"))),
            },
            Ended::Killed => {}
        }
        if self.rng.bool() {
            self.disk.power_off();
        }
        Ok(())
    }

    /// Without faults it gets there, and what is stored is the same after another start. What flipped before may show only
    /// now; that is said, and beginning anew helps.
    async fn finish(&mut self) -> Result<(), Failure> {
        for _ in 0..2 {
            let store = self.open()?;
            let Ended::ByItself(result) = self.sync(&store, None, 0).await? else {
                return Err(Failure::NeverEnded);
            };
            let summary = result.map_err(|error| Failure::Error(format!("without a fault: {error}")))?;
            if summary.state != EndState::Synced {
                return Err(Failure::WrongEnd(summary.state));
            }
            let before = self.survived.damage;
            self.look(&store, true)?;
            drop(store);
            let store = self.open()?;
            self.look(&store, !self.flips)?;
            if before == self.survived.damage {
                return Ok(());
            }
            drop(store);
            self.wipe();
        }
        Err(Failure::Error("still damaged after beginning anew".to_owned()))
    }

    /// As `qrsync sync` does it: what is damaged is set aside. Whatever else the database says of a file with flipped bits
    /// asks the user to move it away.
    fn open(&mut self) -> Result<Arc<Store>, Failure> {
        let network = &self.reference.world.params().network;
        match Store::on(self.disk.plug_in(), network) {
            Ok(store) => return Ok(Arc::new(store)),
            Err(_) if self.flips => {
                self.survived.damage += 1;
                self.wipe();
            }
            Err(error) => return Err(Failure::Error(format!("when it was opened again: {error}"))),
        }
        Ok(Arc::new(
            Store::on(self.disk.plug_in(), network).map_err(|error| Failure::Error(error.to_string()))?,
        ))
    }

    fn wipe(&mut self) {
        self.disk.wipe();
        self.known.clear();
    }

    /// What is stored is right, all of it `if_complete`, and nothing is gone that was there.
    fn look(&mut self, store: &Store, is_complete: bool) -> Result<(), Failure> {
        match self.reference.compare(store, is_complete) {
            Ok(heights) if self.flips || self.known.is_subset(&heights) => self.known = heights,
            Ok(heights) => {
                let height = self.known.difference(&heights).next().copied().unwrap_or_default();
                return Err(Failure::Lost { height });
            }
            Err(Difference::Wrong(what)) => return Err(Failure::WrongRow { what }),
            // Of a store whose disk failed this may be all that can be said.
            Err(Difference::Failed(error)) if self.flips && !matches!(error, StoreError::Panicked { .. }) => {
                self.survived.damage += 1;
            }
            Err(Difference::Failed(error)) => {
                return Err(Failure::Error(format!("when it was read: {error}")));
            }
        }
        Ok(())
    }

    /// Syncs until it ends or the limit is reached, while bits flip.
    async fn sync(
        &mut self,
        store: &Arc<Store>,
        limit: Option<Duration>,
        flips: u32,
    ) -> Result<Ended, Failure> {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let verification = if self.is_slow { Verification::Threads } else { Verification::Inline };
        let environment = Environment { verification, ..surroundings(&self.network, self.rng.u64(..)) };
        let config = config(&self.network);
        let params = self.reference.world.params();
        let synced = sync_with(&environment, params, &config, store.clone(), &progress, &cancel);
        let (disk, known, longest) = (&self.disk, &mut self.known, self.reference.makespan);
        let mut rng = self.rng.fork();
        tokio::select! {
            biased;
            result = synced => Ok(Ended::ByItself(Box::new(result))),
            // The power goes before the sync is dropped, so that nothing is put in order first.
            () = async {
                match limit {
                    Some(limit) => sleep(limit).await,
                    None => std::future::pending().await,
                }
                disk.power_off();
            } => Ok(Ended::Killed),
            never = async {
                for _ in 0..flips {
                    sleep(longest.mul_f64(rng.f64())).await;
                    disk.flip_bits(1);
                }
                std::future::pending().await
            } => never,
            failed = watch(store, disk, &progress, known) => Err(failed),
        }
    }
}

/// Notes which lists are stored, and ends when nothing gets on.
async fn watch(store: &Store, disk: &Disk, progress: &Progress, known: &mut BTreeSet<u32>) -> Failure {
    let (snapshots, started) = (progress.watch(), Instant::now());
    let (mut last, mut since) = (None, Instant::now());
    loop {
        sleep(GLANCE).await;
        // Where this fails the sync finds out too.
        known.extend(store.lists().into_iter().flatten().map(|(height, _)| height));
        let now = (*snapshots.borrow(), disk.written());
        if last != Some(now) {
            (last, since) = (Some(now), Instant::now());
        } else if since.elapsed() > STALLED {
            return Failure::Stalled { at: started.elapsed(), idle_for: since.elapsed() };
        }
        if started.elapsed() > LONGEST {
            return Failure::NeverEnded;
        }
    }
}
