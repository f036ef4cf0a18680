use std::collections::BTreeMap;

use clap::Args;
use dashcore::ProTxHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::block::Block;
use super::masternode::Masternode;
use super::masternodes::at;
use super::{Data, Problem, Question};

/// Between which lists.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffQuery {
    /// Height of the earlier list, which is stored
    pub(crate) from: u32,
    /// Height of the later list, which is stored [default: the newest]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<u32>,
}

/// What changed between two lists.
pub(crate) struct AskDiff(pub(crate) DiffQuery);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DiffAnswer {
    pub(crate) from: Block,
    pub(crate) to: Block,
    pub(crate) added: Vec<Masternode>,
    pub(crate) removed: Vec<Masternode>,
    pub(crate) changed: Vec<Change>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) pro_tx_hash: ProTxHash,
    /// Names of the fields that differ.
    pub(crate) fields: Vec<String>,
    pub(crate) before: Masternode,
    pub(crate) after: Masternode,
}

impl Question for AskDiff {
    type Query = DiffQuery;
    type Answer = DiffAnswer;

    fn path(&self) -> String {
        "/v1/masternodes/diff".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let DiffQuery { from, to } = self.0;
        let (before, after) = (data.client.state(from).await?, data.client.state(at(to)).await?);
        if before.height() > after.height() {
            let message = format!("from, {from}, is above to, {}; exchange them", after.height());
            return Err(Problem::new(super::problem::BAD_REQUEST, message));
        }
        let blocks = [
            Block::new(data, before.height(), before.block_hash()).await?,
            Block::new(data, after.height(), after.block_hash()).await?,
        ];
        let height = after.height();
        // A type that an entry does not say is the same before and after.
        let known_evo = data.read(move |store| store.evo_nodes(height)).await?;
        data.work(move || {
            let shaped = |state: &spv_masternodes::ProvenState| -> BTreeMap<ProTxHash, Masternode> {
                let all = Masternode::all(state.masternodes(), &known_evo);
                all.map(|masternode| (masternode.pro_tx_hash, masternode)).collect()
            };
            let (mut before, after) = (shaped(&before), shaped(&after));
            let [from, to] = blocks;
            let (mut added, mut changed) = (Vec::new(), Vec::new());
            for (pro_tx_hash, after) in after {
                match before.remove(&pro_tx_hash) {
                    None => added.push(after),
                    Some(before) if before == after => {}
                    Some(before) => {
                        changed.push(Change {
                            pro_tx_hash,
                            fields: other_fields(&before, &after),
                            before,
                            after,
                        });
                    }
                }
            }
            DiffAnswer { from, to, added, removed: before.into_values().collect(), changed }
        })
        .await
    }
}

fn other_fields(before: &Masternode, after: &Masternode) -> Vec<String> {
    let fields = |masternode| match serde_json::to_value(masternode) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
