//! Data requests and their honest answers.

use dashcore::BlockHash;
use dashcore::consensus::{Decodable, DecodeError, Reader, serialize};
use dashcore::network::framing::{Command, Frame};
use dashcore::network::message::command;
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};
use dashcore::network::message_headers2::{Headers2Message, max_headers2};
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::GetMnListDiff;

use crate::chain::{ActiveChain, QRInfoConstruction, Refusal, ShownHeaders};
use crate::faults::{Asked, FaultPlan};
use crate::stats::RequestCounts;

/// A data request.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Headers(GetHeadersMessage),
    Headers2(GetHeadersMessage),
    MnListDiff(GetMnListDiff),
    QRInfo(GetQRInfo),
}

/// Kinds of data requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Headers,
    Headers2,
    MnListDiff,
    QRInfo,
}

impl RequestKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Headers => "getheaders",
            Self::Headers2 => "getheaders2",
            Self::MnListDiff => "getmnlistd",
            Self::QRInfo => "getqrinfo",
        }
    }

    pub(super) fn count(self, counts: &mut RequestCounts) {
        *match self {
            Self::Headers => &mut counts.getheaders,
            Self::Headers2 => &mut counts.getheaders2,
            Self::MnListDiff => &mut counts.getmnlistd,
            Self::QRInfo => &mut counts.getqrinfo,
        } += 1;
    }

    /// What it asks for, as far as faults care.
    pub(super) const fn asked(self) -> Asked {
        match self {
            Self::Headers => Asked::Headers,
            Self::Headers2 => Asked::CompressedHeaders,
            Self::MnListDiff | Self::QRInfo => Asked::Lists,
        }
    }
}

/// Why a request cannot be handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadRequest {
    /// It cannot be decoded: dropped without a word.
    Malformed(DecodeError),
    /// Its locator is too long: the node disconnects.
    LocatorTooLong,
}

/// An answer, not yet framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) command: Command,
    pub(super) payload: Vec<u8>,
}

impl Request {
    /// The kind of data request with this name, if it is one.
    pub(super) fn kind(name: Command) -> Option<RequestKind> {
        match name {
            command::GETHEADERS => Some(RequestKind::Headers),
            command::GETHEADERS2 => Some(RequestKind::Headers2),
            command::GETMNLISTD => Some(RequestKind::MnListDiff),
            command::GETQRINFO => Some(RequestKind::QRInfo),
            _ => None,
        }
    }

    /// Bytes behind the last field are ignored, as Dash Core does.
    pub(super) fn decode(kind: RequestKind, frame: &Frame) -> Result<Self, BadRequest> {
        let mut reader = Reader::new(&frame.payload);
        match kind {
            RequestKind::Headers => decode_getheaders(&mut reader).map(Self::Headers),
            RequestKind::Headers2 => decode_getheaders(&mut reader).map(Self::Headers2),
            RequestKind::MnListDiff => GetMnListDiff::consensus_decode(&mut reader)
                .map(Self::MnListDiff)
                .map_err(BadRequest::Malformed),
            RequestKind::QRInfo => {
                GetQRInfo::consensus_decode(&mut reader).map(Self::QRInfo).map_err(BadRequest::Malformed)
            }
        }
    }

    /// What a node with these headers answers to one that speaks `common_version` or later; `None` when it says nothing and
    /// thinks nothing of it. Of headers only the first half where `is_half`.
    pub(super) fn answer(
        &self,
        headers: &ShownHeaders<'_>,
        common_version: i32,
        is_half: bool,
    ) -> Result<Option<Answer>, Refusal> {
        let shown = |request: &GetHeadersMessage, limit: usize| {
            let mut headers = headers.answer(request, limit)?;
            if is_half {
                headers.truncate(headers.len().div_ceil(2));
            }
            Some(headers)
        };
        Ok(match self {
            Self::Headers(request) => shown(request, MAX_HEADERS).map(|headers| Answer {
                command: command::HEADERS,
                payload: serialize(&HeadersMessage(headers)),
            }),
            Self::Headers2(request) => shown(request, max_headers2(common_version)).map(|headers| Answer {
                command: command::HEADERS2,
                payload: Headers2Message::encode_chain(&headers),
            }),
            Self::MnListDiff(request) => {
                let payload = serialize(&headers.chain.mn_list_diff(request)?);
                Some(Answer { command: command::MNLISTDIFF, payload })
            }
            Self::QRInfo(request) => {
                let construction = QRInfoConstruction::for_version(common_version);
                let payload = serialize(&headers.chain.qr_info(request, construction)?);
                Some(Answer { command: command::QRINFO, payload })
            }
        })
    }

    /// A different request of the same kind, for a node that answers wrongly; `None` when there is none.
    pub(super) fn another(&self, chain: &ActiveChain, random: &mut FaultPlan) -> Option<Self> {
        let world = chain.world();
        let mut pick = |heights: Vec<u32>| {
            let height = (!heights.is_empty()).then(|| heights[random.below(heights.len())])?;
            world.block_hash(height)
        };
        let height = |hash: &BlockHash| chain.height(hash);
        match self {
            Self::Headers(request) | Self::Headers2(request) => {
                let known = request.locator_hashes.iter().find_map(height);
                let other = pick((0..chain.tip()).filter(|height| Some(*height) != known).collect())?;
                let other = GetHeadersMessage { locator_hashes: vec![other], ..request.clone() };
                Some(match self {
                    Self::Headers2(_) => Self::Headers2(other),
                    _ => Self::Headers(other),
                })
            }
            Self::MnListDiff(request) => {
                let (base, block) =
                    (height(&request.base_block_hash).unwrap_or(0), height(&request.block_hash)?);
                let block_hash = pick((base..=chain.tip()).filter(|height| *height != block).collect())?;
                Some(Self::MnListDiff(GetMnListDiff { block_hash, ..*request }))
            }
            Self::QRInfo(request) => {
                let cycle_length = world.params().rotated().dkg_interval;
                let cycle = height(&request.block_request_hash)? / cycle_length;
                let others = (0..=chain.tip() / cycle_length)
                    .filter(|other| *other != cycle && other.abs_diff(cycle) < 5);
                let others = others.map(|other| other * cycle_length).filter(|height| {
                    let block_request_hash = world.block_hash(*height).unwrap_or_default();
                    let other = GetQRInfo { block_request_hash, ..request.clone() };
                    chain.qr_info(&other, QRInfoConstruction::Efficient).is_ok()
                });
                let block_request_hash = pick(others.collect())?;
                Some(Self::QRInfo(GetQRInfo { block_request_hash, ..request.clone() }))
            }
        }
    }
}

fn decode_getheaders(reader: &mut Reader<'_>) -> Result<GetHeadersMessage, BadRequest> {
    let version = reader.read("getheaders.version").map_err(BadRequest::Malformed)?;
    let locator_hashes: Vec<BlockHash> = reader.vec("getheaders.locator").map_err(BadRequest::Malformed)?;
    let stop_hash = reader.read("getheaders.stop").map_err(BadRequest::Malformed)?;
    if locator_hashes.len() > MAX_LOCATOR {
        return Err(BadRequest::LocatorTooLong);
    }
    Ok(GetHeadersMessage { version, locator_hashes, stop_hash })
}

/// Longest locator that a node accepts (Dash Core `MAX_LOCATOR_SZ`, net_processing.cpp).
const MAX_LOCATOR: usize = 101;
