//! The file: a head that names format and specification; the coinbases, one after the other; then everything else; and,
//! at the end, where "everything else" begins and a digest of all before. Integers are little-endian.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bitcoin_hashes::{HashEngine, sha256};
use dashcore::consensus::{Decodable, DecodeError, Encodable, Reader};
use dashcore::{BlockHash, Header, ProTxHash};

use crate::generate::GeneratedSpec;
use crate::history::{Coinbases, History, MasternodeHistory, MinedQuorum, QuorumHistory};

/// Changes whenever what is written, or what is generated from a specification, does.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 16] = b"spv-simnet world";
const DIGEST: usize = 32;
/// Place of the tail, and the digest.
const TRAILER: usize = 8 + DIGEST;
const CHUNK: usize = 64 * 1024;

pub(super) fn write_head<W: Write>(spec: &GeneratedSpec, writer: &mut HashingWriter<W>) -> io::Result<()> {
    writer.write_all(&head(spec))
}

fn head(spec: &GeneratedSpec) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    VERSION.consensus_encode(&mut head);
    let spec = spec.to_string();
    count(spec.len()).consensus_encode(&mut head);
    head.extend_from_slice(spec.as_bytes());
    head
}

pub(super) fn write_tail<W: Write>(
    history: &History,
    ends: &[u64],
    writer: &mut HashingWriter<W>,
) -> io::Result<()> {
    let tail = writer.written;
    let mut out = Vec::new();
    count(history.headers.len()).consensus_encode(&mut out);
    history.headers.iter().for_each(|header| header.consensus_encode(&mut out));
    history.hashes.iter().for_each(|hash| hash.consensus_encode(&mut out));
    ends.iter().for_each(|end| end.consensus_encode(&mut out));
    writer.write_all(&std::mem::take(&mut out))?;

    count(history.masternodes.changes().count()).consensus_encode(&mut out);
    for (height, name, entry) in history.masternodes.changes() {
        height.consensus_encode(&mut out);
        name.consensus_encode(&mut out);
        entry.is_some().consensus_encode(&mut out);
        if let Some(entry) = entry {
            entry.consensus_encode(&mut out);
        }
    }
    count(history.quorums.all().len()).consensus_encode(&mut out);
    for MinedQuorum { entry, mined, retired } in history.quorums.all() {
        mined.consensus_encode(&mut out);
        retired.consensus_encode(&mut out);
        entry.consensus_encode(&mut out);
    }
    count(history.snapshots.len()).consensus_encode(&mut out);
    for (cycle, snapshot) in &history.snapshots {
        cycle.consensus_encode(&mut out);
        snapshot.consensus_encode(&mut out);
    }
    tail.consensus_encode(&mut out);
    writer.write_all(&out)?;
    let digest = writer.digest();
    writer.write_all(&digest)
}

/// Reads a file after checking all of it. Whatever is wrong with its content is [`io::ErrorKind::InvalidData`].
pub(super) fn read(spec: &GeneratedSpec, mut file: File) -> io::Result<(History, Coinbases)> {
    let head = head(spec);
    let size = checked_size(&mut file, &head)?;
    let end = size - TRAILER as u64;
    let mut tail_place = [0; 8];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut tail_place)?;
    let tail_place = u64::from_le_bytes(tail_place);
    let tail_size = end.checked_sub(tail_place).and_then(|size| usize::try_from(size).ok());
    let mut tail = vec![0; tail_size.ok_or_else(|| damaged("place of the tail"))?];
    file.seek(SeekFrom::Start(tail_place))?;
    file.read_exact(&mut tail)?;
    let mut reader = Reader::new(&tail);
    let (history, ends) = decode_tail(spec, &mut reader)
        .and_then(|decoded| reader.finish().map(|()| decoded))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((history, Coinbases::in_file(file, head.len() as u64, ends)))
}

fn decode_tail(spec: &GeneratedSpec, reader: &mut Reader<'_>) -> Result<(History, Vec<u64>), DecodeError> {
    let blocks = reader.read("blocks")?;
    let headers: Vec<Header> = many(blocks, reader)?;
    let hashes: Vec<BlockHash> = many(blocks, reader)?;
    let ends: Vec<u64> = many(blocks, reader)?;

    let mut masternodes = MasternodeHistory::default();
    for _ in 0..reader.read::<u32>("masternodes")? {
        let height = reader.read("masternode.height")?;
        let name: ProTxHash = reader.read("masternode.name")?;
        let is_there: bool = reader.read("masternode.is_there")?;
        let entry = if is_there { Some(Arc::new(reader.read("masternode.entry")?)) } else { None };
        masternodes.set(height, name, entry);
    }
    let quorums = (0..reader.read::<u32>("quorums")?)
        .map(|_| {
            Ok(MinedQuorum {
                mined: reader.read("quorum.mined")?,
                retired: reader.read("quorum.retired")?,
                entry: Arc::new(reader.read("quorum.entry")?),
            })
        })
        .collect::<Result<QuorumHistory, _>>()?;
    let snapshots = (0..reader.read::<u32>("snapshots")?)
        .map(|_| Ok((reader.read("snapshot.cycle")?, reader.read("snapshot")?)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let history = History { params: spec.params(), headers, hashes, masternodes, quorums, snapshots };
    Ok((history, ends))
}

fn many<T: Decodable>(count: u32, reader: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    (0..count).map(|_| T::consensus_decode(reader)).collect()
}

/// Reads the file once from begin to end; its size, if head and digest are right.
fn checked_size(file: &mut File, head: &[u8]) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let hashed = size.checked_sub(DIGEST as u64).filter(|hashed| *hashed >= (head.len() + TRAILER) as u64);
    let hashed = hashed.ok_or_else(|| damaged("size"))?;
    let mut engine = sha256::Hash::engine();
    let mut content = Read::by_ref(file).take(hashed);
    let mut start = vec![0; head.len()];
    content.read_exact(&mut start)?;
    if start != head {
        return Err(damaged("head"));
    }
    engine.input(&start);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = content.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        engine.input(&chunk[..read]);
    }
    let mut digest = [0; DIGEST];
    file.read_exact(&mut digest)?;
    if sha256::Hash::from_engine(engine).to_byte_array() != digest {
        return Err(damaged("digest"));
    }
    Ok(size)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("wrong {what}"))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("worlds have far fewer than 2^32 of anything")
}

/// Counts and hashes what passes through it.
pub(super) struct HashingWriter<W> {
    inner: W,
    written: u64,
    engine: sha256::HashEngine,
}

impl<W: Write> HashingWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, written: 0, engine: sha256::Hash::engine() }
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }

    /// Digest of everything written so far.
    fn digest(&self) -> [u8; DIGEST] {
        sha256::Hash::from_engine(self.engine.clone()).to_byte_array()
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        self.engine.input(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
