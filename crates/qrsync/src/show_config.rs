use crate::args::{ConfigArgs, ConfigCommand};
use crate::config::{LogArgs, show};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: ConfigArgs, log: &LogArgs) -> anyhow::Result<Exit> {
    let ConfigCommand::Show(args) = args.command;
    let layers = args.layers(log)?;
    if args.json {
        output::json(&show::json(&layers))?;
    } else {
        output::text(show::toml(&layers)?.trim_end())?;
    }
    Ok(Exit::Ok)
}
