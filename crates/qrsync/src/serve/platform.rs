//! What Platform's SDK reads from a trusted server, here from verified quorums alone (docs/protocol.md).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dashcore::{BlockHash, QuorumHash};
use serde::Serialize;
use spv_integration::Client;
use spv_integration::client::{At, Signer};
use tokio::sync::Mutex;

use super::state::App;
use super::v1::{OnePart, one, part, serialized};
use crate::answers::{AskMasternodes, Masternode, MasternodesQuery, Problem, Question};

/// Blocks between the tip and the height of `/previous`.
const PREVIOUS: u32 = 8;

/// What was found for the newest tip that was asked about.
#[derive(Default)]
pub(super) struct PlatformCache(Mutex<Option<(BlockHash, Arc<Found>)>>);

#[derive(Debug)]
struct Found {
    active: Vec<Quorum>,
    /// Those that have left the active set, and whose signatures count.
    retired: Vec<Quorum>,
    previous: Previous,
}

#[derive(Debug, Serialize)]
struct Answer<T> {
    success: bool,
    data: Option<T>,
    message: Option<String>,
}

/// A quorum as the SDK reads it: members and signature are of no use to it.
#[derive(Debug, Clone, Serialize)]
struct Quorum {
    quorum_hash: QuorumHash,
    key: String,
    height: u32,
    members: [String; 0],
    threshold_signature: &'static str,
    mining_members_count: usize,
    valid_members_count: usize,
}

#[derive(Debug, Clone, Serialize)]
struct Previous {
    height: u32,
    quorums: Vec<Quorum>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evonode {
    pro_tx_hash: String,
    address: String,
    status: &'static str,
    version_check: &'static str,
    #[serde(rename = "platformHTTPPort")]
    platform_http_port: u16,
}

pub(super) async fn quorums(State(app): State<App>) -> Response {
    respond(app.look_up(found(app.clone())).await.map(|found| found.active.clone()))
}

pub(super) async fn previous(State(app): State<App>) -> Response {
    respond(app.look_up(found(app.clone())).await.map(|found| found.previous.clone()))
}

pub(super) async fn quorum(State(app): State<App>, name: OnePart) -> Response {
    let answer = async {
        let hash: QuorumHash = part(&one(name)?, "a quorum hash")?;
        let found = app.look_up(found(app.clone())).await?;
        let quorum = found.active.iter().chain(&found.retired).find(|quorum| quorum.quorum_hash == hash);
        let unknown =
            || Problem::new("unknown_quorum", format!("no verified Platform quorum {hash} signs now"));
        quorum.cloned().ok_or_else(unknown)
    };
    respond(answer.await)
}

pub(super) async fn masternodes(State(app): State<App>) -> Response {
    let evo = AskMasternodes(MasternodesQuery { evo: Some(true), ..MasternodesQuery::default() });
    let data = app.data.clone();
    let answer = app.look_up(async move { evo.answer(&data).await }).await;
    respond(answer.map(|answer| answer.masternodes.iter().map(Evonode::from).collect::<Vec<_>>()))
}

fn respond<T: Serialize>(answer: Result<T, Problem>) -> Response {
    match answer {
        Ok(data) => serialized(StatusCode::OK, &Answer { success: true, data: Some(data), message: None }),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let answer = Answer::<()> { success: false, data: None, message: Some(problem.message) };
            serialized(status, &answer)
        }
    }
}

/// Who may have signed a proof now, or 8 blocks ago. That takes a few lists, so it is looked up once for each tip.
async fn found(app: App) -> Result<Arc<Found>, Problem> {
    let mut cache = app.platform.0.lock().await;
    let client = &app.data.client;
    let tip = client.state(At::Newest).await?;
    if let Some((_, found)) = cache.as_ref().filter(|(block, _)| *block == tip.block_hash()) {
        return Ok(found.clone());
    }
    let signers = client.platform_signers(tip.height()).await?;
    let (active, retired): (Vec<&Signer>, Vec<&Signer>) =
        signers.iter().partition(|signer| signer.quorum().block_hash == tip.block_hash());
    let shaped = |signers: &[&Signer]| signers.iter().copied().map(Quorum::from).collect();
    let previous = previous_of(client, tip.height()).await?;
    let found = Arc::new(Found { active: shaped(&active), retired: shaped(&retired), previous });
    *cache = Some((tip.block_hash(), found.clone()));
    Ok(found)
}

/// Besides those that were active then, those whose signatures counted then: the SDK looks for a quorum here and in
/// `/quorums`, and nowhere else.
async fn previous_of(client: &Client, tip: u32) -> Result<Previous, Problem> {
    let height = tip.saturating_sub(PREVIOUS);
    let quorums = match client.platform_signers(height).await {
        Ok(signers) => signers.iter().map(Quorum::from).collect(),
        // The data begins with the tip.
        Err(spv_integration::client::LookupError::BelowStart { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Previous { height, quorums })
}

impl From<&Signer> for Quorum {
    fn from(signer: &Signer) -> Self {
        let quorum = signer.quorum();
        Self {
            quorum_hash: quorum.entry.quorum_hash,
            key: signer.public_key().to_string(),
            height: quorum.base_height.unwrap_or_default(),
            members: [],
            threshold_signature: "",
            mining_members_count: quorum.entry.signers.count_ones(),
            valid_members_count: quorum.entry.valid_members.count_ones(),
        }
    }
}

impl From<&Masternode> for Evonode {
    fn from(masternode: &Masternode) -> Self {
        let port = masternode.platform.as_ref().and_then(|platform| platform.http_port);
        let can_be_dialed = masternode.valid && port.is_some();
        Self {
            pro_tx_hash: masternode.pro_tx_hash.to_string(),
            address: masternode.service.clone(),
            status: if masternode.valid { "ENABLED" } else { "POSE_BANNED" },
            // Clients use those alone that a server has called with success. Nobody is called here: that a node is in
            // the proven list and enabled has to do, and a client goes on to the next node when one does not answer.
            version_check: if can_be_dialed { "success" } else { "fail" },
            platform_http_port: port.unwrap_or_default(),
        }
    }
}
