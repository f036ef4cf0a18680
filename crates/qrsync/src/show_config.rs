use crate::args::{ConfigArgs, ConfigCommand};
use crate::config::{LogArgs, show};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: ConfigArgs, log: &LogArgs) -> anyhow::Result<Exit> {
    let args = match args.command {
        ConfigCommand::Show(args) => args,
        ConfigCommand::Reference => {
            output::text(show::reference()?.trim_end())?;
            return Ok(Exit::Ok);
        }
    };
    let layers = args.layers(log)?;
    if args.json {
        output::json(&show::json(&layers))?;
    } else {
        output::text(show::toml(&layers)?.trim_end())?;
    }
    Ok(Exit::Ok)
}
