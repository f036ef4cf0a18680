use bytes::Bytes;
use dashcore::consensus::{DecodeError, deserialize};
use dashcore::network::framing::Frame;
use dashcore::network::message::command;
use dashcore::network::message_blockdata::{HeadersMessage, MAX_HEADERS};
use dashcore::network::message_headers2::CompressedHeaders;
use dashcore::{BlockHash, Header};

use super::request::RequestKind;

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
    pub(crate) headers: Vec<Header>,
    /// Their hashes, if decoding took them, as it does with compressed headers.
    pub(crate) hashes: Option<Vec<BlockHash>>,
    /// Whether there are as many as fit into one answer of this form: the node may have more.
    pub(crate) is_full: bool,
}

impl Answer {
    /// A message as the answer to a request; `None` of one that answers none. `headers2_limit` is how many headers a
    /// `headers2` of this node may have.
    pub(crate) fn of(frame: Frame, headers2_limit: usize) -> Option<Self> {
        let kind = RequestKind::answered_by(frame.command)?;
        let headers2_limit = (frame.command == command::HEADERS2).then_some(headers2_limit);
        Some(Self { kind, headers2_limit, payload: frame.payload, checksum_valid: frame.checksum_valid })
    }

    /// The headers in it, of whichever form. Compressed ones take an X11 hash each, one after the other, so it blocks for
    /// some microseconds per header.
    ///
    /// # Errors
    /// When the payload is no valid message of its form.
    pub(crate) fn headers(&self) -> Result<AnsweredHeaders, DecodeError> {
        let Some(limit) = self.headers2_limit else { return AnsweredHeaders::plain(&self.payload) };
        let compressed = CompressedHeaders::decode(&self.payload, limit)?;
        let is_full = compressed.len() == limit;
        let (headers, hashes) = compressed.into_hashed().unzip();
        Ok(AnsweredHeaders { headers, hashes: Some(hashes), is_full })
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
        Ok(Self { headers, hashes: None, is_full })
    }

    /// Keeps the first `count` headers.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.headers.truncate(count);
        if let Some(hashes) = &mut self.hashes {
            hashes.truncate(count);
        }
    }

    /// Cuts off the first `count` headers, and drops them.
    ///
    /// # Panics
    /// When there are fewer.
    pub(crate) fn skip(&mut self, count: usize) {
        self.headers.drain(..count);
        if let Some(hashes) = &mut self.hashes {
            hashes.drain(..count);
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
            assert_eq!((&answered.headers[..], answered.is_full), (&chain[..count], is_full));
            assert_eq!(answer.kind, RequestKind::GetHeaders);
            let Some(hashes) = answered.hashes else { continue };
            assert_eq!(
                hashes[..count - 1],
                *chain[1..count].iter().map(|h| h.prev_blockhash).collect::<Vec<_>>()
            );
            assert_eq!(hashes[count - 1], chain[count - 1].block_hash());
        }
        assert!(compressed(2_001, 2_000).headers().is_err(), "more than the version allows");
    }

    #[test]
    fn hashes_stay_beside_their_headers() {
        let payload = Headers2Message::encode_chain(&chain(10));
        let mut answered = answer(command::HEADERS2, payload, MAX_HEADERS2).headers().unwrap();
        answered.truncate(7);
        answered.skip(2);
        let hashes: Vec<_> = answered.headers.iter().map(Header::block_hash).collect();
        assert_eq!((answered.headers.len(), answered.hashes), (5, Some(hashes)));
    }
}
