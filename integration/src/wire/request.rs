use dashcore::consensus::{Decodable, Reader};
use dashcore::network::framing::Command;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::network::message_headers2::CompressedHeaders;
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::{BlockHash, Header};
use spv_correlation::Expectation;

use super::answer::Answer;
use super::request_kind::RequestKind;

/// What can be asked of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Headers after a locator, or with an empty one the header of the stop hash.
    Headers(GetHeadersMessage),
    /// The same in compressed form: what a connection makes of [`Headers`](Self::Headers) where its node offers that.
    CompressedHeaders(GetHeadersMessage),
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

impl Request {
    /// Its kind.
    pub(crate) const fn kind(&self) -> RequestKind {
        match self {
            Self::Headers(_) | Self::CompressedHeaders(_) => RequestKind::GetHeaders,
            Self::QrInfo { .. } => RequestKind::QrInfo,
            Self::ListDiff(_) => RequestKind::MnListDiff,
        }
    }

    /// Name of the message that answers it.
    pub(crate) const fn answer_name(&self) -> Command {
        match self {
            Self::Headers(_) => command::HEADERS,
            Self::CompressedHeaders(_) => command::HEADERS2,
            Self::QrInfo { .. } => command::QRINFO,
            Self::ListDiff(_) => command::MNLISTDIFF,
        }
    }

    /// The same for a node that offers compressed headers.
    pub(crate) fn compressed(self) -> Self {
        match self {
            Self::Headers(message) => Self::CompressedHeaders(message),
            other => other,
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
            Self::CompressedHeaders(message) => NetworkMessage::GetHeaders2(message.clone()),
            Self::QrInfo { message, .. } => NetworkMessage::GetQRInfo(message.clone()),
            Self::ListDiff(message) => NetworkMessage::GetMnListD(*message),
        }
    }
}

/// What of an answer says which request it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerContent {
    kind: RequestKind,
    is_compressed: bool,
    /// `None` of an answer that cannot be decoded, or whose checksum is wrong: it answers nothing.
    names: Option<Names>,
}

/// Blocks that an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Headers {
        /// The block that the first header follows; `None` where there are no headers.
        after: Option<BlockHash>,
        /// The one header's block; `None` where there are several.
        only: Option<BlockHash>,
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
    Headers { is_compressed: bool },
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
            Self::Headers(_) => AnswerKey::Headers { is_compressed: false },
            Self::CompressedHeaders(_) => AnswerKey::Headers { is_compressed: true },
            Self::QrInfo { work_block, .. } => AnswerKey::QrInfo(*work_block),
            Self::ListDiff(names) => AnswerKey::ListDiff(names.base_block_hash, names.block_hash),
        }
    }

    fn content(answer: &Answer) -> AnswerContent {
        let names = if answer.checksum_valid { names_of(answer) } else { None };
        AnswerContent { kind: answer.kind, is_compressed: answer.headers2_limit.is_some(), names }
    }

    /// Nodes announce new blocks by `headers`, and by `headers2` only to those who ask for that, as nobody does here.
    fn may_come_unasked(content: &AnswerContent) -> bool {
        content.kind == RequestKind::GetHeaders && !content.is_compressed
    }

    fn accepts(&self, content: &AnswerContent) -> bool {
        match (self, content.names) {
            (Self::Headers(message), Some(Names::Headers { after, only })) => {
                !content.is_compressed && are_asked_for(message, after, only)
            }
            (Self::CompressedHeaders(message), Some(Names::Headers { after, only })) => {
                content.is_compressed && are_asked_for(message, after, only)
            }
            (Self::QrInfo { work_block, .. }, Some(Names::QrInfo { work_block: found })) => {
                found == *work_block
            }
            (Self::ListDiff(names), Some(Names::ListDiff(found))) => found == *names,
            _ => false,
        }
    }
}

/// Whether headers with these names answer this message.
fn are_asked_for(message: &GetHeadersMessage, after: Option<BlockHash>, only: Option<BlockHash>) -> bool {
    match after {
        None => true,
        Some(_) if message.locator_hashes.is_empty() => only == Some(message.stop_hash),
        Some(after) => message.locator_hashes.contains(&after),
    }
}

/// What an answer names; `None` where it cannot be decoded.
fn names_of(answer: &Answer) -> Option<Names> {
    let payload = &answer.payload;
    match answer.kind {
        RequestKind::GetHeaders => match answer.headers2_limit {
            Some(limit) => {
                let headers = CompressedHeaders::decode(payload, limit).ok()?;
                let (after, is_one) = (headers.parent(), headers.len() == 1);
                let only = headers.into_hashed().next().filter(|_| is_one).map(|(_, hash)| hash);
                Some(Names::Headers { after, only })
            }
            None => {
                let mut reader = Reader::new(payload);
                let count = reader.compact_size().ok()?;
                if count == 0 {
                    return Some(Names::Headers { after: None, only: None });
                }
                let first = Header::consensus_decode(&mut reader).ok()?;
                let only = (count == 1).then(|| first.block_hash());
                Some(Names::Headers { after: Some(first.prev_blockhash), only })
            }
        },
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
    use dashcore::network::framing::Frame;
    use dashcore::network::message_blockdata::HeadersMessage;
    use dashcore::network::message_headers2::{Headers2Message, MAX_HEADERS2};
    use dashcore::{ChainParams, Network};

    use super::*;

    fn answer(command: Command, payload: Vec<u8>) -> Answer {
        let frame = Frame { command, payload: payload.into(), checksum_valid: true };
        Answer::of(frame, MAX_HEADERS2).unwrap()
    }

    fn message(locator_hashes: Vec<BlockHash>, stop_hash: BlockHash) -> GetHeadersMessage {
        GetHeadersMessage { version: 1, locator_hashes, stop_hash }
    }

    /// Genesis and two blocks on top of it.
    fn chain() -> [Header; 3] {
        let genesis = ChainParams::new(Network::Regtest).genesis;
        let child = Header { prev_blockhash: genesis.block_hash(), ..genesis };
        [genesis, child, Header { prev_blockhash: child.block_hash(), ..genesis }]
    }

    fn both_forms(headers: &[Header]) -> [Answer; 2] {
        [
            answer(command::HEADERS, serialize(&HeadersMessage(headers.to_vec()))),
            answer(command::HEADERS2, serialize(&Headers2Message(headers.to_vec()))),
        ]
    }

    fn both_requests(message: GetHeadersMessage) -> [Request; 2] {
        let plain = Request::Headers(message);
        [plain.clone(), plain.compressed()]
    }

    #[test]
    fn headers_must_follow_a_block_of_the_locator_in_the_form_that_was_asked_for() {
        let [genesis, child, grandchild] = chain();
        let after_genesis = both_requests(message(vec![genesis.block_hash()], BlockHash::all_zeros()));
        let after_child = both_requests(message(vec![child.block_hash()], BlockHash::all_zeros()));
        let answers = both_forms(&[child, grandchild]);
        for asked in 0..2 {
            for (given, answer) in answers.iter().enumerate() {
                assert_eq!(after_genesis[asked].is_answered_by(answer), asked == given, "{asked} {given}");
                assert!(!after_child[asked].is_answered_by(answer));
                let corrupt = Answer { checksum_valid: false, ..answer.clone() };
                assert!(!after_genesis[asked].is_answered_by(&corrupt));
                let of_lists = Answer { kind: RequestKind::QrInfo, ..answer.clone() };
                assert!(!after_genesis[asked].is_answered_by(&of_lists));
            }
            assert!(after_child[asked].is_answered_by(&both_forms(&[])[asked]), "none");
            assert_eq!(after_child[asked].answer_name(), [command::HEADERS, command::HEADERS2][asked]);
            assert_eq!(after_child[asked].kind(), RequestKind::GetHeaders);
        }
    }

    #[test]
    fn an_empty_locator_is_answered_by_the_one_header_of_the_stop_hash() {
        let [genesis, child, grandchild] = chain();
        let requests = both_requests(message(vec![], child.block_hash()));
        for (form, request) in requests.iter().enumerate() {
            let is_answered_by = |headers: &[Header]| request.is_answered_by(&both_forms(headers)[form]);
            assert!(is_answered_by(&[child]));
            assert!(is_answered_by(&[]), "by a node that still syncs");
            for others in [&[genesis][..], &[grandchild], &[child, grandchild]] {
                assert!(!is_answered_by(others), "{}", others.len());
            }
        }
    }

    #[test]
    fn plain_headers_may_come_unasked_and_compressed_ones_not() {
        let [_, child, _] = chain();
        let [plain, compressed] = both_forms(&[child]).map(|answer| Request::content(&answer));
        assert!(Request::may_come_unasked(&plain));
        assert!(!Request::may_come_unasked(&compressed));
    }

    #[test]
    fn compressed_headers_that_cannot_be_decoded_answer_nothing() {
        let [genesis, child, grandchild] = chain();
        let request = Request::CompressedHeaders(message(vec![genesis.block_hash()], BlockHash::all_zeros()));
        let payload = serialize(&Headers2Message(vec![child, grandchild]));
        assert!(Request::is_readable(&answer(command::HEADERS2, payload.clone())));
        let mut of_nothing = payload.clone();
        of_nothing[1] = 0;
        for broken in [of_nothing, payload[..payload.len() - 1].to_vec(), [&payload[..], &[0]].concat()] {
            let broken = answer(command::HEADERS2, broken);
            assert!(!Request::is_readable(&broken) && !request.is_answered_by(&broken));
        }
        let too_many = Answer { headers2_limit: Some(1), ..answer(command::HEADERS2, payload) };
        assert!(!Request::is_readable(&too_many));
    }

    #[test]
    fn a_list_diff_must_name_both_blocks() {
        let [base, block, other] = [1, 2, 3].map(|byte| BlockHash::from_byte_array([byte; 32]));
        let mut payload = vec![1, 0];
        payload.extend(serialize(&GetMnListDiff { base_block_hash: base, block_hash: block }));
        let diff = answer(command::MNLISTDIFF, payload);
        let request =
            |base_block_hash, block_hash| Request::ListDiff(GetMnListDiff { base_block_hash, block_hash });
        assert!(request(base, block).is_answered_by(&diff));
        assert!(!request(base, other).is_answered_by(&diff));
        assert!(!request(other, block).is_answered_by(&diff));
    }
}
