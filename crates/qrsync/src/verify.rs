use crate::answers::{AskVerify, Lock, SignedLock};
use crate::args::{VerifyArgs, VerifyCommand};
use crate::ask::Source;
use crate::exit::{Exit, NotVerified};
use crate::output;
use crate::quorums::details;

pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    let data = args.command.data();
    let (lock, hex) = match &args.command {
        VerifyCommand::Chainlock { hex, .. } => (Lock::ChainLock, hex),
        VerifyCommand::Instantlock { hex, .. } => (Lock::InstantLock, hex),
    };
    let question = AskVerify { lock, signed: SignedLock { hex: hex.clone() } };
    let verdict = Source::find(data).await?.ask(&question).await?;
    if data.json {
        output::json(&verdict)?;
    } else {
        let mut text = format!("{}  {}", verdict.lock, verdict.outcome.replace('_', " "));
        if let Some(signer) = &verdict.signer {
            text.push_str(&format!("\n{}", details(signer)));
            // It is signed as it should be, and still there is something to say.
            if let Some(reason) = &verdict.reason {
                text.push_str(&format!("\n{reason}"));
            }
        }
        output::text(&text)?;
    }
    let reason = verdict.reason.unwrap_or_default();
    match (&*verdict.outcome, verdict.error) {
        ("valid" | "other_branch", _) => Ok(Exit::Ok),
        (_, Some(error)) if Exit::of_problem(&error) == Exit::Failed => anyhow::bail!(reason),
        _ => Err(NotVerified(reason).into()),
    }
}
