use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{StoreError, metrics};
use crate::clock;

/// Damaged files that are kept for whoever wants to know what happened to them; older ones go, so that a disk that fails
/// again and again does not fill up.
const KEPT: usize = 3;

/// Gives a damaged file another name, and says so.
pub(super) fn set_aside(path: &Path, reason: &StoreError) -> Result<(), StoreError> {
    let failed = |source| StoreError::Access { path: path.to_owned(), source };
    let aside = unused_name(path);
    fs::rename(path, &aside).map_err(failed)?;
    metrics::set_aside();
    tracing::error!(error = %reason, aside = %aside.display(), "the damaged database was set aside; syncing anew");
    forget_oldest(path);
    Ok(())
}

fn unused_name(path: &Path) -> PathBuf {
    // Not every file system takes colons.
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + clock::unix_now()).to_string().replace(':', "");
    let name = |suffix: &str| PathBuf::from(format!("{}.damaged-{date}{suffix}", path.display()));
    let further = (2..).map(|number: u32| name(&format!("-{number}")));
    let mut names = std::iter::once(name("")).chain(further);
    names.find(|name| !name.exists()).unwrap_or_else(|| name(""))
}

/// Failing that, they stay, which is no reason to end.
fn forget_oldest(path: &Path) {
    let (Some(directory), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str()))
    else {
        return;
    };
    let prefix = format!("{file}.damaged-");
    let Ok(entries) = fs::read_dir(directory) else { return };
    let is_aside = |path: &PathBuf| {
        path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(&prefix))
    };
    let mut aside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_aside).collect();
    // Their names begin with their dates.
    aside.sort();
    aside.truncate(aside.len().saturating_sub(KEPT));
    for oldest in aside {
        fs::remove_file(oldest).ok();
    }
}
