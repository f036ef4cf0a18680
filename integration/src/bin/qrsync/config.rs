use crate::args::{ConfigArgs, ConfigCommand};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: ConfigArgs) -> anyhow::Result<Exit> {
    let ConfigCommand::Show(args) = args.command;
    let config = args.config()?;
    config.chain_params()?;
    if args.json {
        output::json(&config)?;
    } else {
        output::text(toml::to_string(&config)?.trim_end())?;
    }
    Ok(Exit::Ok)
}
