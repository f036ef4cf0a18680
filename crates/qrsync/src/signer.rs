use crate::answers::{AskChainLockSigner, AskInstantLockSigner, AskPlatformSigner};
use crate::args::{SignerArgs, SignerCommand};
use crate::ask::Source;
use crate::exit::Exit;
use crate::output;
use crate::quorums::details;

pub(crate) async fn run(args: SignerArgs) -> anyhow::Result<Exit> {
    let source = Source::find(args.command.data()).await?;
    let answer = match &args.command {
        SignerCommand::Chainlock { query, .. } => source.ask(&AskChainLockSigner(*query)).await?,
        SignerCommand::Instantsend { query, .. } => source.ask(&AskInstantLockSigner(*query)).await?,
        SignerCommand::Platform { query, .. } => source.ask(&AskPlatformSigner(*query)).await?,
    };
    if args.command.data().json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let mut text = answer.request_id.map(|id| format!("request id  {id}\n")).unwrap_or_default();
    for signer in &answer.signers {
        text.push_str(&format!("{}\nactive at   height {}\n", details(&signer.quorum), signer.proven_at));
    }
    output::text(text.trim_end())?;
    Ok(Exit::Ok)
}
