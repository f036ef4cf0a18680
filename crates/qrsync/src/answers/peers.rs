use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spv_integration::discovery::known_peers;

use super::{Data, NoQuery, Problem, Question};

/// The nodes that are remembered.
pub(crate) struct AskPeers;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PeersAnswer {
    pub(crate) peers: Vec<Map<String, Value>>,
}

impl Question for AskPeers {
    type Query = NoQuery;
    type Answer = PeersAnswer;

    fn path(&self) -> String {
        "/v1/peers".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &NoQuery {}
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let known = data.read(known_peers).await?;
        let objects = known.iter().filter_map(|peer| match serde_json::to_value(peer) {
            Ok(Value::Object(peer)) => Some(peer),
            _ => None,
        });
        Ok(PeersAnswer { peers: objects.collect() })
    }
}
