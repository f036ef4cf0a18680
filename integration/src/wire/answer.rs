use bytes::Bytes;
use dashcore::consensus::{DecodeError, deserialize};
use dashcore::network::framing::Frame;
use dashcore::network::message::command;
use dashcore::network::message_blockdata::{HeadersMessage, MAX_HEADERS};
use dashcore::network::message_headers2::CompressedHeaders;
use dashcore::{BlockHash, Header};

use super::request_kind::RequestKind;

/// An answer as it came. Decoding and proving it is the verification threads' work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Which kind of request it answers.
    pub(crate) kind: RequestKind,
    /// Most headers that it may have, if it is a `headers2`.
    pub(crate) headers2_limit: Option<usize>,
    /// Its payload.
    pub(crate) payload: Bytes,
    /// Whether the frame's checksum fits; an answer with a wrong one counts as a wrong answer.
    pub(crate) checksum_valid: bool,
}

/// The headers that an answer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnsweredHeaders {
    list: List,
    /// Whether there are as many as fit into one answer of this form: the node may have more.
    pub(crate) is_full: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum List {
    Plain(Vec<Header>),
    Compressed(CompressedHeaders),
}

impl Answer {
    /// A message as the answer to a request; `None` of one that answers none. `headers2_limit` is how many headers a
    /// `headers2` of this node may have.
    pub(crate) fn of(frame: Frame, headers2_limit: usize) -> Option<Self> {
        let kind = RequestKind::answered_by(frame.command)?;
        let headers2_limit = (frame.command == command::HEADERS2).then_some(headers2_limit);
        Some(Self { kind, headers2_limit, payload: frame.payload, checksum_valid: frame.checksum_valid })
    }

    /// The headers in it, of whichever form. Takes no hash.
    ///
    /// # Errors
    /// When the payload is no valid message of its form.
    pub(crate) fn headers(&self) -> Result<AnsweredHeaders, DecodeError> {
        let Some(limit) = self.headers2_limit else { return AnsweredHeaders::plain(&self.payload) };
        let headers = CompressedHeaders::decode(&self.payload, limit)?;
        let is_full = headers.len() == limit;
        Ok(AnsweredHeaders { list: List::Compressed(headers), is_full })
    }
}

impl AnsweredHeaders {
    /// Those of a `headers` with this payload.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn plain(payload: &[u8]) -> Result<Self, DecodeError> {
        let HeadersMessage(headers) = deserialize(payload)?;
        let is_full = headers.len() == MAX_HEADERS;
        Ok(Self { list: List::Plain(headers), is_full })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match &self.list {
            List::Plain(headers) => headers.len(),
            List::Compressed(headers) => headers.len(),
        }
    }

    /// The block that the first one follows; `None` where there are none.
    pub(crate) fn parent(&self) -> Option<BlockHash> {
        match &self.list {
            List::Plain(headers) => headers.first().map(|first| first.prev_blockhash),
            List::Compressed(headers) => headers.parent(),
        }
    }

    /// The hash of the last one, where it can be taken without those of the others.
    pub(crate) fn last_hash(&self) -> Option<BlockHash> {
        match &self.list {
            List::Plain(headers) => headers.last().map(Header::block_hash),
            List::Compressed(_) => None,
        }
    }

    /// How many at the beginning are these, which follow the same parent and each other. Takes no hash.
    pub(crate) fn count_equal<'a>(&self, chain: impl Iterator<Item = &'a Header>) -> usize {
        match &self.list {
            List::Plain(headers) => {
                headers.iter().zip(chain).take_while(|(header, known)| header == known).count()
            }
            List::Compressed(headers) => headers.count_equal(chain),
        }
    }

    /// Keeps the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        match &mut self.list {
            List::Plain(headers) => headers.truncate(count),
            List::Compressed(headers) => headers.truncate(count),
        }
    }

    /// Leaves out the first `count`, the last of which has this hash.
    pub(crate) fn skip(&mut self, count: usize, hash: BlockHash) {
        match &mut self.list {
            List::Plain(headers) => drop(headers.drain(..count.min(headers.len()))),
            List::Compressed(headers) => headers.skip(count, hash),
        }
    }

    /// The headers, and their hashes if those had to be taken on the way, as with compressed ones: that takes some
    /// microseconds per header, one after the other.
    pub(crate) fn into_headers(self) -> (Vec<Header>, Option<Vec<BlockHash>>) {
        match self.list {
            List::Plain(headers) => (headers, None),
            List::Compressed(headers) => {
                let (headers, hashes) = headers.into_hashed().unzip();
                (headers, Some(hashes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dashcore::consensus::serialize;
    use dashcore::network::framing::Command;
    use dashcore::network::message_headers2::{Headers2Message, MAX_HEADERS2};
    use dashcore::{ChainParams, Network};

    use super::*;

    fn chain(length: usize) -> Vec<Header> {
        let mut headers = vec![ChainParams::new(Network::Regtest).genesis];
        while headers.len() < length {
            let parent = headers[headers.len() - 1];
            headers.push(Header { prev_blockhash: parent.block_hash(), time: parent.time + 1, ..parent });
        }
        headers
    }

    fn answer(command: Command, payload: Vec<u8>, limit: usize) -> Answer {
        Answer::of(Frame { command, payload: payload.into(), checksum_valid: true }, limit).unwrap()
    }

    #[test]
    fn full_is_what_has_as_many_headers_as_its_form_allows() {
        let chain = chain(MAX_HEADERS2);
        let plain = |count: usize| {
            answer(command::HEADERS, serialize(&HeadersMessage(chain[..count].to_vec())), MAX_HEADERS2)
        };
        let compressed = |count: usize, limit| {
            answer(command::HEADERS2, Headers2Message::encode_chain(&chain[..count]), limit)
        };
        for (answer, count, is_full) in [
            (plain(1_999), 1_999, false),
            (plain(2_000), 2_000, true),
            (compressed(2_000, 8_000), 2_000, false),
            (compressed(7_999, 8_000), 7_999, false),
            (compressed(8_000, 8_000), 8_000, true),
            (compressed(2_000, 2_000), 2_000, true),
        ] {
            let answered = answer.headers().unwrap();
            assert_eq!(
                (answered.len(), answered.is_full, answer.kind),
                (count, is_full, RequestKind::GetHeaders)
            );
            assert_eq!(answered.parent(), Some(chain[0].prev_blockhash));
        }
        assert!(compressed(2_001, 2_000).headers().is_err(), "more than the version allows");
    }

    #[test]
    fn both_forms_are_handled_alike_and_hashes_stay_beside_their_headers() {
        let chain = chain(10);
        let hashes: Vec<_> = chain.iter().map(Header::block_hash).collect();
        for (name, payload) in [
            (command::HEADERS, serialize(&HeadersMessage(chain.clone()))),
            (command::HEADERS2, Headers2Message::encode_chain(&chain)),
        ] {
            let mut answered = answer(name, payload, MAX_HEADERS2).headers().unwrap();
            let is_compressed = name == command::HEADERS2;
            assert_eq!(answered.last_hash(), (!is_compressed).then_some(hashes[9]));
            let mut other = chain.clone();
            other[4].nonce ^= 1;
            assert_eq!([chain.iter(), other.iter()].map(|chain| answered.count_equal(chain)), [10, 4]);
            answered.truncate(7);
            answered.skip(2, hashes[1]);
            assert_eq!((answered.len(), answered.parent()), (5, Some(hashes[1])));
            let expected = (chain[2..7].to_vec(), is_compressed.then(|| hashes[2..7].to_vec()));
            assert_eq!(answered.into_headers(), expected);
        }
    }
}
