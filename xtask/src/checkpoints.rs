//! Checkpoints from which a sync starts; see RELEASING.md.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

/// Writes the built-in table of a network anew, from the chain that was proven in a data directory.
pub(crate) fn run(sh: &Shell, data_dir: &Path, network: &str) -> Result<()> {
    let table = sh.current_dir().join(table(network));
    cmd!(
        sh,
        "cargo run --locked --release --quiet -p spv-integration --example checkpoints -- {data_dir} {network} {table}"
    )
    .run()?;
    Ok(())
}

/// The table of a network, from the root of the workspace.
pub(crate) fn table(network: &str) -> String {
    format!("crates/dashcore/data/checkpoints-{network}net.csv")
}

/// Unix time of the newest known block; `None` where the table has none, or only its hash.
pub(crate) fn newest_time(table: &str) -> Option<u64> {
    let header = table.lines().last()?.split(',').nth(2)?;
    // Behind version, parent and root.
    let time = header.get(2 * 68..2 * 72)?;
    u32::from_str_radix(time, 16).ok().map(|time| time.swap_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_block_is_in_its_header() {
        let line = |header: &str| format!("height,hash,header,chainwork,below\n7,00,{header},1,\n");
        let header = "00".repeat(68) + "01020304" + &"00".repeat(8);
        assert_eq!(newest_time(&line(&header)), Some(0x0403_0201));
        assert_eq!(newest_time(&line("")), None);
        assert_eq!(newest_time(""), None);
    }
}
