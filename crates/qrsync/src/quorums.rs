use spv_integration::counted;

use crate::answers::{AskQuorum, AskQuorums, Quorum};
use crate::args::{QuorumArgs, QuorumsArgs};
use crate::ask::Source;
use crate::exit::Exit;
use crate::output;
use crate::table::Table;

pub(crate) async fn quorums(args: QuorumsArgs) -> anyhow::Result<Exit> {
    let answer = Source::find(&args.data).await?.ask(&AskQuorums(args.query)).await?;
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    if args.csv {
        let names = [
            "type",
            "type_name",
            "quorum_hash",
            "index",
            "height",
            "public_key",
            "verified",
            "proof",
            "finding",
        ];
        let mut table = Table::new(names);
        for quorum in &answer.quorums {
            table.row([
                quorum.llmq_type.to_string(),
                quorum.type_name.as_deref().unwrap_or_default().to_owned(),
                quorum.quorum_hash.to_string(),
                quorum.index.to_string(),
                quorum.height.map(|height| height.to_string()).unwrap_or_default(),
                quorum.public_key.clone(),
                quorum.verified.to_string(),
                quorum.proof.to_string(),
                quorum.finding.to_string(),
            ]);
        }
        output::text(&table.csv()?)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["type", "quorum_hash", "index", "base", "finding"]);
    for quorum in &answer.quorums {
        table.row([
            type_text(quorum),
            quorum.quorum_hash.to_string(),
            quorum.index.to_string(),
            base(quorum),
            quorum.finding.replace('_', " "),
        ]);
    }
    let count = counted(answer.quorums.len(), "active quorum");
    output::text(&format!("{count} at {}\n{}", answer.block.text(), table.text()))?;
    Ok(Exit::Ok)
}

pub(crate) async fn quorum(args: QuorumArgs) -> anyhow::Result<Exit> {
    let question = AskQuorum { llmq_type: args.llmq_type, quorum_hash: args.hash, query: args.query };
    let answer = Source::find(&args.data).await?.ask(&question).await?;
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    for quorum in &answer.quorums {
        output::text(&format!("{}\nactive at   {}", details(quorum), answer.block.text()))?;
    }
    Ok(Exit::Ok)
}

/// Everything about a quorum, for a person.
pub(crate) fn details(quorum: &Quorum) -> String {
    let mut text = format!(
        "quorum      {}\ntype        {}, index {}\nbase block  at height {}\npublic key  {}\nfinding     {}",
        quorum.quorum_hash,
        type_text(quorum),
        quorum.index,
        base(quorum),
        quorum.public_key,
        quorum.finding.replace('_', " "),
    );
    for (index, member) in quorum.members.iter().enumerate() {
        let service = quorum.member_services.as_ref().and_then(|services| services.get(index));
        let service =
            service.map(|service| format!("  {}", service.as_deref().unwrap_or("no longer in the list")));
        text.push_str(&format!("\nmember {index:3}  {member}{}", service.unwrap_or_default()));
    }
    text
}

fn type_text(quorum: &Quorum) -> String {
    let name = quorum.type_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{}{name}", quorum.llmq_type)
}

fn base(quorum: &Quorum) -> String {
    quorum.height.map_or_else(|| "-".to_owned(), |height| height.to_string())
}
