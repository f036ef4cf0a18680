use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use redb::StorageBackend;

/// A disk in memory that fails when it is told to: the power goes, bits change, it is full, it is slow. Clones are the same
/// disk. What is lost or changed goes by its seed.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: Rng,
    /// What a reader sees.
    bytes: Vec<u8>,
    /// What is there for certain when the power goes.
    synced: Vec<u8>,
    /// What was done since, in order.
    unsynced: Vec<Change>,
    /// Only the backend that was plugged in last reaches the disk; a process that was killed writes no more.
    plugged: u64,
    operations: u64,
    written: u64,
    power_goes_at: Option<u64>,
    room: Option<u64>,
    pause: Duration,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Disk {
    /// An empty one.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::with_seed(seed),
            bytes: Vec::new(),
            synced: Vec::new(),
            unsynced: Vec::new(),
            plugged: 0,
            operations: 0,
            written: 0,
            power_goes_at: None,
            room: None,
            pause: Duration::ZERO,
        })))
    }

    /// One that holds these bytes.
    pub fn holding(bytes: &[u8]) -> Self {
        let disk = Self::new(0);
        {
            let mut state = disk.0.lock();
            (state.bytes, state.synced) = (bytes.to_vec(), bytes.to_vec());
        }
        disk
    }

    /// All that is on it, as a reader sees it.
    pub fn contents(&self) -> Vec<u8> {
        self.0.lock().bytes.clone()
    }

    /// What a database keeps itself in. Any that was made before fails from now on.
    pub fn plug_in(&self) -> impl StorageBackend {
        let mut state = self.0.lock();
        state.plugged += 1;
        state.power_goes_at = None;
        Plugged { disk: self.clone(), number: state.plugged }
    }

    /// The power goes: whoever uses the disk fails from now on. What was synced stays; of what was not, some does, in any
    /// order, in whole or half pages.
    pub fn power_off(&self) {
        self.0.lock().power_off();
    }

    /// The same after this number of further operations.
    pub fn power_off_after(&self, operations: u64) {
        let mut state = self.0.lock();
        state.power_goes_at = Some(state.operations + operations);
    }

    /// Limits how many more bytes it takes before writes fail; `None` sets no limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.0.lock().room = bytes;
    }

    /// How long each write and sync takes, in real time.
    pub fn set_pause(&self, pause: Duration) {
        self.0.lock().pause = pause;
    }

    /// Flips this number of bits, anywhere.
    pub fn flip_bits(&self, count: u32) {
        let State { rng, bytes, synced, .. } = &mut *self.0.lock();
        let length = bytes.len();
        for _ in 0..count {
            if length > 0 {
                let (at, bit) = (rng.usize(..length), 1 << rng.u32(..8));
                for byte in [bytes.get_mut(at), synced.get_mut(at)].into_iter().flatten() {
                    *byte ^= bit;
                }
            }
        }
    }

    /// Empties it.
    pub fn wipe(&self) {
        let mut state = self.0.lock();
        state.power_off();
        (state.bytes, state.synced) = (Vec::new(), Vec::new());
    }

    /// How often it has been used: read, written, made longer or shorter, synced.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Bytes that were written to it.
    pub fn written(&self) -> u64 {
        self.0.lock().written
    }
}

impl State {
    fn power_off(&mut self) {
        self.plugged += 1;
        self.power_goes_at = None;
        let (page, kept) =
            (*pick(&mut self.rng, &[PAGE / 2, PAGE]), *pick(&mut self.rng, &[0.0, 0.3, 0.7, 1.0]));
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Length(length) if self.rng.f64() < kept => self.synced.resize(length, 0),
                Change::Length(_) => {}
                Change::Bytes(offset, bytes) => {
                    for piece in pieces(offset, bytes.len(), page) {
                        if self.rng.f64() < kept {
                            put(&mut self.synced, offset + piece.start, &bytes[piece]);
                        }
                    }
                }
            }
        }
        self.bytes = self.synced.clone();
    }

    fn take_room(&mut self, bytes: usize) -> io::Result<()> {
        if let Some(room) = &mut self.room {
            let left = room.checked_sub(bytes as u64);
            *room = left.unwrap_or(0);
            left.ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        }
        Ok(())
    }
}

/// The parts of what is written, relative to its start, that lie in different pages of the disk.
fn pieces(offset: usize, length: usize, page: usize) -> impl Iterator<Item = Range<usize>> {
    let end = offset + length;
    let first = offset / page * page;
    (first..end).step_by(page).map(move |at| at.max(offset) - offset..end.min(at + page) - offset)
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.usize(..all.len())]
}

/// The database's size of a page, in bytes.
const PAGE: usize = 4_096;

/// A disk as a process has it open.
#[derive(Debug)]
struct Plugged {
    disk: Disk,
    number: u64,
}

impl Plugged {
    fn used<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        state.operations += 1;
        if state.power_goes_at.is_some_and(|at| state.operations >= at) {
            state.power_off();
        }
        match state.plugged == self.number {
            true => work(&mut state),
            false => Err(io::Error::other("the power went")),
        }
    }

    /// Outside the lock: who only reads does not wait.
    #[expect(clippy::disallowed_methods, reason = "a slow disk holds up the thread that uses it")]
    fn pause(&self) {
        let pause = self.disk.0.lock().pause;
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

impl StorageBackend for Plugged {
    fn len(&self) -> io::Result<u64> {
        self.used(|state| Ok(state.bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.used(|state| {
            let offset = place(offset)?;
            let end = offset.checked_add(out.len());
            let bytes = end.and_then(|end| state.bytes.get(offset..end));
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.used(|state| {
            let length = place(len)?;
            state.bytes.resize(length, 0);
            state.unsynced.push(Change::Length(length));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pause();
        self.used(|state| {
            for change in std::mem::take(&mut state.unsynced) {
                match change {
                    Change::Length(length) => state.synced.resize(length, 0),
                    Change::Bytes(offset, bytes) => put(&mut state.synced, offset, &bytes),
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pause();
        self.used(|state| {
            state.take_room(data.len())?;
            state.written += data.len() as u64;
            let offset = place(offset)?;
            put(&mut state.bytes, offset, data);
            state.unsynced.push(Change::Bytes(offset, data.to_vec()));
            Ok(())
        })
    }
}

fn place(offset: u64) -> io::Result<usize> {
    const LARGEST: u64 = 1 << 32;
    let checked = usize::try_from(offset).ok().filter(|_| offset < LARGEST);
    checked.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_the_power_and_of_the_rest_some_does() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let disk = Disk::new(seed);
            let plugged = disk.plug_in();
            plugged.write(0, &[1; PAGE]).unwrap();
            plugged.sync_data().unwrap();
            plugged.write(PAGE as u64, &[2; PAGE]).unwrap();
            assert_eq!(disk.contents().len(), 2 * PAGE);
            disk.power_off();
            assert!(plugged.write(0, &[3]).is_err(), "the power is off");
            let mut left = disk.contents();
            assert_eq!(left[..PAGE], [1; PAGE]);
            left.resize(2 * PAGE, 0);
            match (left[PAGE], left[2 * PAGE - 1]) {
                (2, 2) => kept += 1,
                (0, 0) => lost += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 10 && lost > 10 && torn > 10, "{kept} kept, {lost} lost, {torn} torn");
    }

    #[test]
    fn a_full_disk_takes_no_more_and_reads_on() {
        let disk = Disk::new(1);
        let plugged = disk.plug_in();
        disk.set_room(Some(10));
        plugged.write(0, &[1; 10]).unwrap();
        assert_eq!(plugged.write(10, &[1]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let mut read = [0; 10];
        plugged.read(0, &mut read).unwrap();
        assert_eq!(read, [1; 10]);
        disk.set_room(None);
        plugged.write(10, &[1]).unwrap();
    }

    #[test]
    fn the_power_goes_at_the_chosen_use_and_bits_flip_for_good() {
        let disk = Disk::new(1);
        let plugged = disk.plug_in();
        plugged.write(0, &[0; 64]).unwrap();
        plugged.sync_data().unwrap();
        disk.flip_bits(1);
        disk.power_off_after(2);
        assert_eq!(plugged.len().unwrap(), 64);
        assert!(plugged.len().is_err());
        let ones: u32 = disk.contents().iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, 1);
    }
}
