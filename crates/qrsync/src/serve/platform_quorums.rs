use std::sync::Arc;

use dashcore::{BlockHash, QuorumHash};
use serde::Serialize;
use spv_integration::Client;
use spv_integration::client::{At, LookupError, Signer};
use tokio::sync::Mutex;

use crate::answers::Problem;

/// Blocks between the tip and the height of `/previous`.
const PREVIOUS: u32 = 8;

/// The quorums that may have signed a proof now or 8 blocks ago, for the newest tip that was asked about. Finding them
/// takes a few lists, so it is done once for each tip.
#[derive(Default)]
pub(super) struct PlatformCache(Mutex<Option<(BlockHash, Arc<Found>)>>);

/// Quorums that are verified.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) active: Vec<Quorum>,
    /// Those that have left the active set, and whose signatures count.
    pub(super) retired: Vec<Quorum>,
    pub(super) previous: Previous,
}

/// A quorum as the SDK reads it: members and signature are of no use to it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Quorum {
    pub(super) quorum_hash: QuorumHash,
    key: String,
    height: u32,
    members: [String; 0],
    threshold_signature: &'static str,
    mining_members_count: usize,
    valid_members_count: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Previous {
    height: u32,
    quorums: Vec<Quorum>,
}

impl PlatformCache {
    /// What holds for the newest tip.
    pub(super) async fn found(&self, client: &Client) -> Result<Arc<Found>, Problem> {
        let mut cache = self.0.lock().await;
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
        // Signatures are checked after the list is stored, so more may be verified in a moment.
        let of_platform = tip.quorums().of_type(client.params().platform_llmq).count();
        let is_all = found.active.len() == of_platform;
        *cache = is_all.then(|| (tip.block_hash(), found.clone()));
        Ok(found)
    }
}

/// Besides those that were active then, those whose signatures counted then: the SDK looks for a quorum here and in
/// `/quorums`, and nowhere else.
async fn previous_of(client: &Client, tip: u32) -> Result<Previous, Problem> {
    let height = tip.saturating_sub(PREVIOUS);
    let quorums = match client.platform_signers(height).await {
        Ok(signers) => signers.iter().map(Quorum::from).collect(),
        // The data begins with the tip.
        Err(error) if matches!(error.missing(), LookupError::BelowStart { .. }) => Vec::new(),
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
