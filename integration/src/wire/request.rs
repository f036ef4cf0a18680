use bytes::Bytes;
use dashcore::BlockHash;
use dashcore::consensus::{Decodable, Reader};
use dashcore::network::framing::Command;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use serde::Serialize;
use spv_correlation::Expectation;

/// What can be asked of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Headers after a locator.
    Headers(GetHeadersMessage),
    /// Rotation info of a cycle.
    QrInfo {
        /// The message.
        message: GetQRInfo,
        /// Work block of the requested cycle: all that an answer says about its request.
        work_block: BlockHash,
    },
    /// What changed between two lists.
    ListDiff(GetMnListDiff),
}

/// Kind of request; the closed set that metrics and estimates are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequestKind {
    /// `getheaders`
    GetHeaders,
    /// `getqrinfo`
    QrInfo,
    /// `getmnlistd`
    MnListDiff,
}

impl RequestKind {
    /// Name as a metric label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GetHeaders => "getheaders",
            Self::QrInfo => "qrinfo",
            Self::MnListDiff => "mnlistdiff",
        }
    }

    /// The kind of request that a message answers.
    pub(crate) fn answered_by(name: Command) -> Option<Self> {
        match name {
            command::HEADERS => Some(Self::GetHeaders),
            command::QRINFO => Some(Self::QrInfo),
            command::MNLISTDIFF => Some(Self::MnListDiff),
            _ => None,
        }
    }
}

impl Request {
    /// Its kind.
    pub(crate) const fn kind(&self) -> RequestKind {
        match self {
            Self::Headers(_) => RequestKind::GetHeaders,
            Self::QrInfo { .. } => RequestKind::QrInfo,
            Self::ListDiff(_) => RequestKind::MnListDiff,
        }
    }

    /// Whether an answer says which request it answers.
    pub(crate) fn is_readable(answer: &Answer) -> bool {
        Self::content(answer).names.is_some()
    }

    /// Whether this answers it, by what it says of itself.
    pub(crate) fn is_answered_by(&self, answer: &Answer) -> bool {
        self.accepts(&Self::content(answer))
    }

    pub(crate) fn to_message(&self) -> NetworkMessage {
        match self {
            Self::Headers(message) => NetworkMessage::GetHeaders(message.clone()),
            Self::QrInfo { message, .. } => NetworkMessage::GetQRInfo(message.clone()),
            Self::ListDiff(message) => NetworkMessage::GetMnListD(*message),
        }
    }
}

/// An answer as it came. Decoding and proving it is the verification threads' work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Which kind of request it answers.
    pub(crate) kind: RequestKind,
    /// Its payload.
    pub(crate) payload: Bytes,
    /// Whether the frame's checksum fits; an answer with a wrong one counts as a wrong answer.
    pub(crate) checksum_valid: bool,
}

/// What of an answer says which request it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerContent {
    kind: RequestKind,
    /// `None` of an answer that cannot be decoded, or whose checksum is wrong: it answers nothing.
    names: Option<Names>,
}

/// Blocks that an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Headers {
        /// The block that the first header follows; `None` where there are no headers.
        after: Option<BlockHash>,
    },
    QrInfo {
        work_block: BlockHash,
    },
    ListDiff(GetMnListDiff),
}

/// What requests have in common that an answer cannot tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum AnswerKey {
    /// Headers say only what they follow, which may be any hash of the locator.
    Headers,
    /// Work block of the cycle.
    QrInfo(BlockHash),
    /// Base and block.
    ListDiff(BlockHash, BlockHash),
}

impl Expectation for Request {
    type Response = Answer;
    type Content = AnswerContent;
    type Key = AnswerKey;

    fn key(&self) -> AnswerKey {
        match self {
            Self::Headers(_) => AnswerKey::Headers,
            Self::QrInfo { work_block, .. } => AnswerKey::QrInfo(*work_block),
            Self::ListDiff(names) => AnswerKey::ListDiff(names.base_block_hash, names.block_hash),
        }
    }

    fn content(answer: &Answer) -> AnswerContent {
        let names = if answer.checksum_valid { names_of(answer.kind, &answer.payload) } else { None };
        AnswerContent { kind: answer.kind, names }
    }

    /// Nodes announce new blocks by `headers`.
    fn may_come_unasked(content: &AnswerContent) -> bool {
        content.kind == RequestKind::GetHeaders
    }

    fn accepts(&self, content: &AnswerContent) -> bool {
        match (self, content.names) {
            (Self::Headers(message), Some(Names::Headers { after })) => {
                after.is_none_or(|after| message.locator_hashes.contains(&after))
            }
            (Self::QrInfo { work_block, .. }, Some(Names::QrInfo { work_block: found })) => {
                found == *work_block
            }
            (Self::ListDiff(names), Some(Names::ListDiff(found))) => found == *names,
            _ => false,
        }
    }
}

/// What an answer of this kind names; `None` where it cannot be decoded.
fn names_of(kind: RequestKind, payload: &[u8]) -> Option<Names> {
    match kind {
        RequestKind::GetHeaders => {
            let mut reader = Reader::new(payload);
            if reader.compact_size().ok()? == 0 {
                return Some(Names::Headers { after: None });
            }
            i32::consensus_decode(&mut reader).ok()?;
            let after = BlockHash::consensus_decode(&mut reader).ok()?;
            Some(Names::Headers { after: Some(after) })
        }
        RequestKind::QrInfo => {
            let work_block = QRInfo::peek_work_block(payload).ok()?;
            Some(Names::QrInfo { work_block })
        }
        RequestKind::MnListDiff => MnListDiff::peek(payload).ok().map(Names::ListDiff),
    }
}

#[cfg(test)]
mod tests {
    use dashcore::consensus::serialize;
    use dashcore::network::message_blockdata::HeadersMessage;
    use dashcore::{ChainParams, Network};

    use super::*;

    fn answer(kind: RequestKind, payload: Vec<u8>) -> Answer {
        Answer { kind, payload: payload.into(), checksum_valid: true }
    }

    #[test]
    fn headers_must_follow_a_block_of_the_locator() {
        let genesis = ChainParams::new(Network::Regtest).genesis;
        let child = dashcore::Header { prev_blockhash: genesis.block_hash(), ..genesis };
        let request = |locator_hashes| {
            Request::Headers(GetHeadersMessage {
                version: 1,
                locator_hashes,
                stop_hash: BlockHash::all_zeros(),
            })
        };
        let headers = answer(RequestKind::GetHeaders, serialize(&HeadersMessage(vec![child])));
        assert!(request(vec![genesis.block_hash()]).is_answered_by(&headers));
        assert!(!request(vec![child.block_hash()]).is_answered_by(&headers));
        assert!(request(vec![]).is_answered_by(&answer(RequestKind::GetHeaders, vec![0])));
        let corrupt = Answer { checksum_valid: false, ..headers.clone() };
        assert!(!request(vec![genesis.block_hash()]).is_answered_by(&corrupt));
        assert!(
            !request(vec![genesis.block_hash()])
                .is_answered_by(&Answer { kind: RequestKind::QrInfo, ..headers })
        );
    }

    #[test]
    fn a_list_diff_must_name_both_blocks() {
        let [base, block, other] = [1, 2, 3].map(|byte| BlockHash::from_byte_array([byte; 32]));
        let mut payload = vec![1, 0];
        payload.extend(serialize(&GetMnListDiff { base_block_hash: base, block_hash: block }));
        let diff = answer(RequestKind::MnListDiff, payload);
        let request =
            |base_block_hash, block_hash| Request::ListDiff(GetMnListDiff { base_block_hash, block_hash });
        assert!(request(base, block).is_answered_by(&diff));
        assert!(!request(base, other).is_answered_by(&diff));
        assert!(!request(other, block).is_answered_by(&diff));
    }
}
