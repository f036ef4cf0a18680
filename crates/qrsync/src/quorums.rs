use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ProTxHash, QuorumHash};
use serde::Serialize;
use spv_integration::client;
use spv_integration::counted;
use spv_integration::store::Finding;

use crate::args::{QueryArgs, QuorumArgs};
use crate::exit::Exit;
use crate::output;
use crate::query::open;

#[derive(Serialize)]
struct Quorums {
    height: u32,
    quorums: Vec<Quorum>,
}

#[derive(Serialize)]
pub(crate) struct Quorum {
    #[serde(rename = "type")]
    llmq_type: LLMQType,
    quorum_hash: QuorumHash,
    index: i16,
    /// Height of the base block; `null` where it is below the stored headers.
    height: Option<u32>,
    public_key: String,
    /// In order; empty unless verified.
    members: Vec<ProTxHash>,
    /// Whether both signatures verify, so that its key is usable.
    verified: bool,
    /// How far it is proven.
    proof: &'static str,
    /// What the check of its signatures found; `not_checked` when there was none.
    finding: &'static str,
}

impl From<&client::Quorum> for Quorum {
    fn from(quorum: &client::Quorum) -> Self {
        let entry = &quorum.entry;
        Self {
            llmq_type: entry.llmq_type,
            quorum_hash: entry.quorum_hash,
            index: entry.quorum_index.unwrap_or(0),
            height: quorum.base_height,
            public_key: entry.quorum_public_key.to_string(),
            members: quorum.members.clone(),
            verified: quorum.proof().is_usable(),
            proof: quorum.proof().as_str(),
            finding: quorum.finding.map_or("not_checked", Finding::as_str),
        }
    }
}

impl Quorum {
    fn base(&self) -> String {
        self.height.map_or_else(|| "-".to_owned(), |height| height.to_string())
    }

    /// Everything about it, for a person.
    pub(crate) fn details(&self) -> String {
        let mut text = format!(
            "quorum      {}\ntype        {}, index {}\nbase block  at height {}\npublic key  {}\nfinding     {}",
            self.quorum_hash,
            self.llmq_type,
            self.index,
            self.base(),
            self.public_key,
            self.finding.replace('_', " "),
        );
        for (index, member) in self.members.iter().enumerate() {
            text.push_str(&format!("\nmember {index:3}  {member}"));
        }
        text
    }
}

pub(crate) async fn quorums(args: QueryArgs) -> anyhow::Result<Exit> {
    let client = open(&args.data)?;
    let height = client.state(args.at()).await?.height();
    let quorums: Vec<Quorum> = client.quorums(height).await?.iter().map(Quorum::from).collect();
    if args.data.json {
        output::json(&Quorums { height, quorums })?;
        return Ok(Exit::Ok);
    }
    let mut text = format!("{} at height {height}", counted(quorums.len(), "active quorum"));
    for quorum in &quorums {
        text.push_str(&format!(
            "\n{:>3}  {}  index {:>2}  base {}  {}",
            quorum.llmq_type,
            quorum.quorum_hash,
            quorum.index,
            quorum.base(),
            quorum.finding.replace('_', " ")
        ));
    }
    output::text(&text)?;
    Ok(Exit::Ok)
}

pub(crate) async fn quorum(args: QuorumArgs) -> anyhow::Result<Exit> {
    let client = open(&args.query.data)?;
    let llmq_type = LLMQType(args.llmq_type);
    let found = match args.query.height {
        Some(height) => client.quorum(llmq_type, args.hash, height).await?,
        None => client.find_quorum(llmq_type, args.hash).await?,
    };
    let quorum = Quorum::from(&found);
    if args.query.data.json {
        output::json(&Quorums { height: found.height, quorums: vec![quorum] })?;
    } else {
        output::text(&format!("{}\nactive at   height {}", quorum.details(), found.height))?;
    }
    Ok(Exit::Ok)
}
