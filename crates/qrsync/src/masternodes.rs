use spv_integration::counted;

use crate::answers::{AskMasternode, AskMasternodes, Masternode, Platform};
use crate::args::{MasternodeArgs, MasternodesArgs};
use crate::ask::Source;
use crate::exit::Exit;
use crate::output;
use crate::table::Table;

pub(crate) async fn masternodes(args: MasternodesArgs) -> anyhow::Result<Exit> {
    let answer = Source::find(&args.data).await?.ask(&AskMasternodes(args.query)).await?;
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    if args.csv {
        output::text(&csv(&answer.masternodes)?)?;
        return Ok(Exit::Ok);
    }
    let shown = match answer.masternodes.len() {
        all if all == answer.count => String::new(),
        some => format!("; {some} shown"),
    };
    let mut table = Table::new(["pro_tx_hash", "state", "type", "service", "platform"]);
    for masternode in &answer.masternodes {
        table.row([
            masternode.pro_tx_hash.to_string(),
            masternode.state().to_owned(),
            masternode.kind.to_string(),
            masternode.service.clone(),
            masternode.platform.as_ref().map(Platform::text).unwrap_or_default(),
        ]);
    }
    output::text(&format!(
        "{} at {}: {} valid, {} Evo; merkle root {}{shown}\n{}",
        counted(answer.count, "masternode"),
        answer.block.text(),
        answer.valid,
        answer.evo,
        answer.merkle_root,
        table.text(),
    ))?;
    Ok(Exit::Ok)
}

/// All fields but those that are lists.
pub(crate) fn csv(masternodes: &[Masternode]) -> anyhow::Result<String> {
    let mut table = Table::new([
        "pro_tx_hash",
        "valid",
        "type",
        "service",
        "confirmed_hash",
        "pub_key_operator",
        "key_id_voting",
        "platform_node_id",
        "platform_http_port",
        "platform_p2p_port",
    ]);
    for masternode in masternodes {
        let platform = masternode.platform.as_ref();
        let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
        table.row([
            masternode.pro_tx_hash.to_string(),
            masternode.valid.to_string(),
            masternode.kind.to_string(),
            masternode.service.clone(),
            masternode.confirmed_hash.map(|hash| hash.to_string()).unwrap_or_default(),
            masternode.pub_key_operator.clone(),
            masternode.key_id_voting.to_string(),
            platform.map(|platform| platform.node_id.clone()).unwrap_or_default(),
            port(platform.and_then(|platform| platform.http_port)),
            port(platform.and_then(|platform| platform.p2p_port)),
        ]);
    }
    table.csv()
}

pub(crate) async fn masternode(args: MasternodeArgs) -> anyhow::Result<Exit> {
    let question = AskMasternode { pro_tx_hash: args.pro_tx_hash, query: args.query };
    let answer = Source::find(&args.data).await?.ask(&question).await?;
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let masternode = &answer.masternode;
    let confirmed = masternode.confirmed_hash.map_or_else(|| "not yet".to_owned(), |hash| hash.to_string());
    let platform = masternode.platform.as_ref().map_or_else(|| "-".to_owned(), Platform::text);
    let addresses = masternode.addresses.iter().map(|one| format!("\n  {:14}{}", one.purpose, one.address));
    let addresses: String = addresses.collect();
    output::text(&format!(
        "masternode    {}\nproven at     {}\nstate         {}\ntype          {}\nservice       {}{addresses}\n\
         Platform      {platform}\noperator key  {}\nvoting key    {}\nconfirmed at  {confirmed}",
        masternode.pro_tx_hash,
        answer.block.text(),
        masternode.state(),
        masternode.kind,
        masternode.service,
        masternode.pub_key_operator,
        masternode.key_id_voting,
    ))?;
    Ok(Exit::Ok)
}
