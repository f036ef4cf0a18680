use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::error::RecvError;

use super::conversation::Streams;
use super::state::App;
use crate::answers::{
    AskChainLock, AskChainLockSigner, AskDiff, AskInstantLockSigner, AskMasternode, AskMasternodes, AskPeers,
    AskPlatformSigner, AskQuorum, AskQuorums, AskStatus, AskVerify, Lock, NoQuery, Problem, Question,
    problem,
};

/// Time between two signs of life of a stream that has nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn status(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query::<NoQuery>(&uri).map(|_| AskStatus)).await
}

pub(super) async fn masternodes(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskMasternodes)).await
}

pub(super) async fn masternode(State(app): State<App>, name: OnePart, uri: Uri) -> Response {
    let question = || -> Result<AskMasternode, Problem> {
        Ok(AskMasternode { pro_tx_hash: part(&one(name)?, "a proTxHash")?, query: query(&uri)? })
    };
    ask(&app, question()).await
}

pub(super) async fn diff(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskDiff)).await
}

pub(super) async fn quorums(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskQuorums)).await
}

pub(super) async fn quorum(
    State(app): State<App>,
    name: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Response {
    let question = || -> Result<AskQuorum, Problem> {
        let (llmq_type, hash) = one(name)?;
        let llmq_type = part(&llmq_type, "a quorum type")?;
        Ok(AskQuorum { llmq_type, quorum_hash: part(&hash, "a quorum hash")?, query: query(&uri)? })
    };
    ask(&app, question()).await
}

pub(super) async fn chain_lock_signer(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskChainLockSigner)).await
}

pub(super) async fn instant_lock_signer(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskInstantLockSigner)).await
}

pub(super) async fn platform_signer(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query(&uri).map(AskPlatformSigner)).await
}

pub(super) async fn chain_lock(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query::<NoQuery>(&uri).map(|_| AskChainLock)).await
}

pub(super) async fn peers(State(app): State<App>, uri: Uri) -> Response {
    ask(&app, query::<NoQuery>(&uri).map(|_| AskPeers)).await
}

pub(super) async fn verify_chain_lock(state: State<App>, uri: Uri, body: Body) -> Response {
    verify(state, Lock::ChainLock, &uri, body).await
}

pub(super) async fn verify_instant_lock(state: State<App>, uri: Uri, body: Body) -> Response {
    verify(state, Lock::InstantLock, &uri, body).await
}

async fn verify(State(app): State<App>, lock: Lock, uri: &Uri, body: Body) -> Response {
    let question = || -> Result<AskVerify, Problem> {
        query::<NoQuery>(uri)?;
        let body = body.map_err(|rejected| match rejected.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new("too_large", rejected.body_text()),
            _ => bad_request(rejected.body_text()),
        })?;
        let signed = serde_json::from_slice(&body);
        let signed = signed.map_err(|error| bad_request(format!("the body is not understood: {error}")))?;
        Ok(AskVerify { lock, signed })
    };
    let question = match question() {
        Ok(question) => question,
        Err(problem) => return refuse(&problem),
    };
    let data = app.data.clone();
    respond(app.verify(async move { data.answer_as_json(question).await }).await)
}

/// Streams events, beginning with those that describe the current state.
pub(super) async fn events(State(app): State<App>, uri: Uri) -> Response {
    if let Err(problem) = query::<NoQuery>(&uri) {
        return refuse(&problem);
    }
    let Ok(place) = app.subscribers.clone().try_acquire_owned() else {
        let most = app.settings.max_subscribers;
        let message = format!("{most} clients read events already; raise api.max_subscribers");
        return refuse(&Problem::transient("too_many_subscribers", message));
    };
    let (current, news) = app.events.subscribe();
    let current = stream::iter(current.into_iter().map(|event| event.as_sse()));
    let news = stream::unfold((news, place), async |(mut news, place)| {
        let event = match news.recv().await {
            Ok(event) => event.as_sse(),
            Err(RecvError::Lagged(count)) => {
                Event::default().event("missed").data(format!("{{\"count\":{count}}}"))
            }
            Err(RecvError::Closed) => return None,
        };
        Some((event, (news, place)))
    });
    let mut response = sse(current.chain(news));
    response.extensions_mut().insert(Streams);
    response
}

fn sse(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) type OnePart = Result<Path<String>, PathRejection>;
pub(super) type Body = Result<Bytes, BytesRejection>;

/// Answers a question, or refuses a request that is none.
async fn ask<Q: Question + Send + 'static>(app: &App, question: Result<Q, Problem>) -> Response {
    let question = match question {
        Ok(question) => question,
        Err(problem) => return refuse(&problem),
    };
    let data = app.data.clone();
    respond(app.look_up(async move { data.answer_as_json(question).await }).await)
}

pub(super) fn one<T>(parts: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    parts.map(|Path(parts)| parts).map_err(|rejected| bad_request(rejected.body_text()))
}

pub(super) fn part<T: FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| bad_request(format!("{text:?} is not {what}")))
}

pub(super) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Problem> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejected) => Err(bad_request(rejected.body_text())),
    }
}

fn bad_request(message: String) -> Problem {
    Problem::new(problem::BAD_REQUEST, message)
}

fn respond(answer: Result<Vec<u8>, Problem>) -> Response {
    match answer {
        Ok(json) => self::json(StatusCode::OK, json),
        Err(problem) => refuse(&problem),
    }
}

/// Says why there is no answer.
pub(super) fn refuse(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = serialized(status, problem);
    if problem.transient && status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub(super) fn serialized(status: StatusCode, value: &impl Serialize) -> Response {
    json(status, serde_json::to_vec(value).unwrap_or_default())
}

pub(super) fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
