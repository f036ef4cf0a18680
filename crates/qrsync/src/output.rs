use std::io::{self, Write};

use serde::Serialize;

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
    writeln!(io::stderr(), "error: {message}").ok();
}

/// A reader that had enough, such as `head`, is no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
