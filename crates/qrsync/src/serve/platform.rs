//! What Platform's SDK reads from a trusted server, here from verified quorums alone (docs/protocol.md).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dashcore::QuorumHash;
use serde::Serialize;

use super::platform_quorums::Found;
use super::state::App;
use super::v1::{OnePart, one, part, serialized};
use crate::answers::{AskMasternodes, Masternode, MasternodesQuery, Problem, Question};

#[derive(Debug, Serialize)]
struct Answer<T> {
    success: bool,
    data: Option<T>,
    message: Option<String>,
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
    respond(look_up(&app).await.map(|found| found.active.clone()))
}

pub(super) async fn previous(State(app): State<App>) -> Response {
    respond(look_up(&app).await.map(|found| found.previous.clone()))
}

pub(super) async fn quorum(State(app): State<App>, name: OnePart) -> Response {
    let answer = async {
        let hash: QuorumHash = part(&one(name)?, "a quorum hash")?;
        let found = look_up(&app).await?;
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

async fn look_up(app: &App) -> Result<Arc<Found>, Problem> {
    let found = app.clone();
    app.look_up(async move { found.platform.found(&found.data.client).await }).await
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
