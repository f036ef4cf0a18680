//! Where Prometheus and promtool are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::workspace;

pub(super) struct Tools {
    pub(super) prometheus: PathBuf,
    pub(super) promtool: PathBuf,
}

impl Tools {
    /// Those of the system; else those that were unpacked below the target directory, now with `install`.
    pub(super) fn find(sh: &Shell, install: bool) -> Result<Self> {
        let own = workspace::target_directory(sh)?.join("prometheus");
        if let Some(tools) = Self::on_path().or_else(|| Self::inside(&own.join("usr/bin"))) {
            return Ok(tools);
        }
        if !install {
            bail!(
                "prometheus and promtool are not installed; `cargo xtask observe --install` fetches Debian's package"
            );
        }
        sh.create_dir(&own)?;
        let _inside = sh.push_dir(&own);
        cmd!(sh, "apt-get download prometheus").run().context("only on Debian and its descendants")?;
        for package in
            sh.read_dir(&own)?.iter().filter(|path| path.extension().is_some_and(|end| end == "deb"))
        {
            cmd!(sh, "dpkg-deb --extract {package} {own}").run()?;
        }
        Self::inside(&own.join("usr/bin")).context("the package has no prometheus and promtool")
    }

    fn on_path() -> Option<Self> {
        env::split_paths(&env::var_os("PATH")?).find_map(|directory| Self::inside(&directory))
    }

    fn inside(directory: &Path) -> Option<Self> {
        let tools = Self { prometheus: directory.join("prometheus"), promtool: directory.join("promtool") };
        (tools.prometheus.is_file() && tools.promtool.is_file()).then_some(tools)
    }
}
