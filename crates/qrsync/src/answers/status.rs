use std::borrow::Cow;
use std::collections::BTreeMap;

use dashcore::BlockHash;
use serde::{Deserialize, Serialize};
use spv_integration::client::{At, LookupError};
use spv_integration::config::NetworkParams;
use spv_integration::session::Masternodes;
use spv_integration::store::Finding;

use super::{Data, NoQuery, Problem, Question};
use crate::live::{ServiceState, age};

/// What the data is, and how it is.
pub(crate) struct AskStatus;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatusAnswer {
    pub(crate) network: String,
    /// Parameters of the network as far as they differ from what its name stands for.
    pub(crate) parameters: BTreeMap<String, serde_json::Value>,
    pub(crate) tip: Option<TipBlock>,
    pub(crate) tip_age_seconds: Option<u64>,
    /// The highest verified ChainLock.
    pub(crate) chain_lock: Option<BlockName>,
    pub(crate) headers: u64,
    pub(crate) lists: usize,
    pub(crate) lowest_list: Option<u32>,
    pub(crate) highest_list: Option<u32>,
    /// Of the newest list; `null` without one.
    pub(crate) masternodes: Option<Masternodes>,
    /// Active in the newest list; `null` without one.
    pub(crate) quorums: Option<QuorumCounts>,
    pub(crate) path: String,
    pub(crate) size_bytes: Option<u64>,
    /// Where the answer is from: `service`, or `store` if the command opened the file itself.
    pub(crate) source: Cow<'static, str>,
    pub(crate) version: String,
    /// How the service is; absent where the file was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<ServiceState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TipBlock {
    pub(crate) height: u32,
    pub(crate) hash: BlockHash,
    /// When it was made, as its header says, in seconds since 1970.
    pub(crate) time: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BlockName {
    pub(crate) height: u32,
    pub(crate) hash: BlockHash,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QuorumCounts {
    pub(crate) active: usize,
    pub(crate) verified: usize,
    /// How many by what their check found.
    pub(crate) findings: BTreeMap<String, usize>,
}

impl Question for AskStatus {
    type Query = NoQuery;
    type Answer = StatusAnswer;

    fn path(&self) -> String {
        "/v1/status".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &NoQuery {}
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let client = &data.client;
        let (tip, chain_lock, headers, path, size_bytes) = data
            .read(|store| {
                let tip = match store.tip()? {
                    Some((height, hash)) => store.header(height)?.map(|header| (height, hash, header.time)),
                    None => None,
                };
                let size = std::fs::metadata(store.path()).ok().map(|file| file.len());
                let path = store.path().display().to_string();
                Ok((tip, store.chain_lock()?, store.header_count()?, path, size))
            })
            .await?;
        let heights = client.stored_heights().await?;
        let newest = match client.state(At::Newest).await {
            Ok(state) => Some(state),
            Err(LookupError::Empty) => None,
            Err(error) => return Err(error.into()),
        };
        let (masternodes, quorums) = match &newest {
            None => (None, None),
            Some(state) => {
                let (list, height) = (state.masternodes(), state.height());
                let known_evo = data.read(move |store| store.evo_nodes(height)).await?;
                let counts = Masternodes::of(list, &known_evo);
                let active = client.quorums(height).await?;
                let mut findings: BTreeMap<String, usize> = BTreeMap::new();
                for quorum in &active {
                    let finding = quorum.finding.map_or("not_checked", Finding::as_str);
                    *findings.entry(finding.to_owned()).or_default() += 1;
                }
                let verified = active.iter().filter(|quorum| quorum.proof().is_usable()).count();
                (Some(counts), Some(QuorumCounts { active: active.len(), verified, findings }))
            }
        };
        Ok(StatusAnswer {
            network: client.params().network.to_string(),
            parameters: parameters(&NetworkParams::of(client.params())),
            tip: tip.map(|(height, hash, time)| TipBlock { height, hash, time }),
            tip_age_seconds: tip.map(|(_, _, time)| age(time).as_secs()),
            chain_lock: chain_lock.map(|lock| BlockName { height: lock.block_height, hash: lock.block_hash }),
            headers,
            lists: heights.len(),
            lowest_list: heights.first().copied(),
            highest_list: heights.last().copied(),
            masternodes,
            quorums,
            path,
            size_bytes,
            source: if data.service.is_some() { "service" } else { "store" }.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            service: data.service.as_ref().map(|live| live.service_state()),
        })
    }
}

/// The parameters that are set.
fn parameters(params: &NetworkParams) -> BTreeMap<String, serde_json::Value> {
    let Ok(serde_json::Value::Object(all)) = serde_json::to_value(params) else { return BTreeMap::new() };
    all.into_iter().filter(|(_, value)| !value.is_null() && *value != "").collect()
}
