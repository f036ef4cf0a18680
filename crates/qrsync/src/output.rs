use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Takes effect for all that is printed from here on.
    pub(crate) fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => {
                console::set_colors_enabled(true);
                console::set_colors_enabled_stderr(true);
            }
            Self::Never => {
                console::set_colors_enabled(false);
                console::set_colors_enabled_stderr(false);
            }
        }
    }
}

/// Bad news on stdout.
pub(crate) fn bad(text: &str) -> String {
    console::style(text).red().bold().to_string()
}

/// Bad news on stderr.
pub(crate) fn bad_on_stderr(text: &str) -> String {
    console::style(text).for_stderr().red().bold().to_string()
}

/// Prints one JSON object on a line of its own.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&serde_json::to_string(value)?)
}

/// Prints text and a line end.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}

/// Prints an error as one line on stderr.
pub(crate) fn error(error: &anyhow::Error) {
    // Library errors say their cause themselves; only what a context hides is added.
    let mut message = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    let message = message.replace('\n', " ");
    // Nobody can be told when even stderr is gone.
    writeln!(io::stderr(), "{} {message}", bad_on_stderr("error:")).ok();
}

/// A reader that had enough, such as `head`, is no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
