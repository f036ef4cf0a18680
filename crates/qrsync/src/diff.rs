use crate::answers::AskDiff;
use crate::args::DiffArgs;
use crate::ask::Source;
use crate::exit::Exit;
use crate::output;
use crate::table::Table;

pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let answer = Source::find(&args.data).await?.ask(&AskDiff(args.query)).await?;
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["change", "pro_tx_hash", "type", "state", "service", "fields"]);
    let listed = |change: &str, masternode: &crate::answers::Masternode, fields: String| {
        [
            change.to_owned(),
            masternode.pro_tx_hash.to_string(),
            masternode.kind.to_string(),
            masternode.state().to_owned(),
            masternode.service.clone(),
            fields,
        ]
    };
    answer.added.iter().for_each(|one| table.row(listed("added", one, String::new())));
    answer.removed.iter().for_each(|one| table.row(listed("removed", one, String::new())));
    for change in &answer.changed {
        table.row(listed("changed", &change.after, change.fields.join(" ")));
    }
    if args.csv {
        output::text(&table.csv()?)?;
        return Ok(Exit::Ok);
    }
    output::text(&format!(
        "{} masternodes added, {} removed, {} changed from {} to {}\n{}",
        answer.added.len(),
        answer.removed.len(),
        answer.changed.len(),
        answer.from.text(),
        answer.to.text(),
        table.text(),
    ))?;
    Ok(Exit::Ok)
}
