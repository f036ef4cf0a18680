//! Generated worlds on disk.

mod format;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{CacheError, World};
use crate::generate::{GeneratedSpec, generate};
use format::HashingWriter;

pub(super) fn load_or_generate(spec: &GeneratedSpec, directory: &Path) -> Result<World, CacheError> {
    if let Err(error) = spec.validate() {
        panic!("{error}");
    }
    let path = directory.join(file_name(spec));
    match load(spec, &path) {
        Ok(world) => return Ok(world),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(path = %path.display(), %error, "a cached world is damaged and is generated again");
        }
        Err(source) => return Err(CacheError::Read { path, source }),
    }
    if let Err(source) = write(spec, directory, &path) {
        return Err(CacheError::Write { path, source });
    }
    load(spec, &path).map_err(|source| CacheError::Read { path, source })
}

pub(super) fn default_directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SPV_SIMNET_CACHE").or_else(|| {
        let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(caches.join("spv-simnet"))
    })
}

/// One file per specification and format, so that no old file is ever taken for what it is not.
fn file_name(spec: &GeneratedSpec) -> String {
    let settings: String =
        spec.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{settings}.v{}.world", format::VERSION)
}

fn load(spec: &GeneratedSpec, path: &Path) -> io::Result<World> {
    let file = File::open(path)?;
    let (history, coinbases) = format::read(spec, file)?;
    Ok(World::new(history, coinbases))
}

/// The file appears under its name only when it is complete.
fn write(spec: &GeneratedSpec, directory: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let file = NamedTempFile::new_in(directory)?;
    let mut writer = HashingWriter::new(BufWriter::new(file));
    format::write_head(spec, &mut writer)?;
    let (history, ends) = generate(spec, None, &mut writer)?;
    format::write_tail(&history, &ends, &mut writer)?;
    let mut buffered = writer.into_inner();
    buffered.flush()?;
    let file = buffered.into_inner().map_err(|error| error.into_error())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dashcore::BlockHash;
    use dashcore::network::message_sml::GetMnListDiff;

    use super::*;
    use crate::chain::ActiveChain;

    const SPEC: GeneratedSpec =
        GeneratedSpec { masternodes: 9, cycles: 1, seed: 3, signatures: false, ..GeneratedSpec::DEFAULT };

    fn answers(world: World) -> impl Iterator<Item = Vec<u8>> {
        let chain: ActiveChain = Arc::new(world).active_chain();
        (1..=chain.tip()).map(move |height| {
            let block_hash = chain.world().block_hash(height).unwrap();
            let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
            dashcore::consensus::serialize(&chain.mn_list_diff(&request).unwrap())
        })
    }

    #[test]
    fn a_cached_world_answers_as_the_generated_one() {
        let directory = tempfile::tempdir().unwrap();
        let made = World::generate_cached(&SPEC, directory.path()).unwrap();
        let names: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [file_name(&SPEC).as_str()], "nothing is left behind");
        let loaded = World::generate_cached(&SPEC, directory.path()).unwrap();
        let generated = World::generate(&SPEC);
        assert_eq!(loaded.params(), generated.params());
        assert_eq!(loaded.headers(), generated.headers());
        assert_eq!(loaded.history.snapshots, generated.history.snapshots);
        let expected: Vec<_> = answers(generated).collect();
        assert!(answers(made).eq(expected.iter().cloned()));
        assert!(answers(loaded).eq(expected));
    }

    #[test]
    fn a_damaged_file_is_noticed_and_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let tip = |world: &World| world.block_hash(world.tip());
        let intact = World::generate_cached(&SPEC, directory.path()).unwrap();
        let path = directory.path().join(file_name(&SPEC));
        let bytes = fs::read(&path).unwrap();
        let mut other_format = bytes.clone();
        other_format[16] ^= 1;
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], &[], &other_format, &flipped] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(load(&SPEC, &path).unwrap_err().kind(), io::ErrorKind::InvalidData);
            let world = World::generate_cached(&SPEC, directory.path()).unwrap();
            assert_eq!(tip(&world), tip(&intact));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_of_another_specification_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        World::generate_cached(&SPEC, directory.path()).unwrap();
        let other = GeneratedSpec { seed: 4, ..SPEC };
        let renamed = directory.path().join(file_name(&other));
        fs::rename(directory.path().join(file_name(&SPEC)), &renamed).unwrap();
        assert_eq!(load(&other, &renamed).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = World::generate_cached(&SPEC, &file.join("below")).unwrap_err();
        assert!(matches!(error, CacheError::Write { .. } | CacheError::Read { .. }), "{error}");
    }
}
