use std::time::Duration;

use bitcoin_hashes::sha256;
use bytes::Bytes;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD, HEADER_SIZE, encode_frame};

use super::Node;
use super::reply::Reply;
use super::service::Answer;
use crate::faults::{Fault, FaultPlan};

/// Frames the answer to a request with this payload and does to it what the fault says.
pub(super) fn deliver(
    node: &Node,
    request: &[u8],
    answer: Answer,
    fault: Option<Fault>,
    random: &mut FaultPlan,
) -> Vec<Reply> {
    let Answer { command, mut payload } = answer;
    match fault {
        Some(Fault::Corrupt) if !payload.is_empty() => {
            let position = random.below(payload.len());
            payload[position] ^= 1 << random.below(8);
        }
        Some(Fault::Forge) => forge(&mut payload, request),
        Some(Fault::BadHeaders2) => leave_out_parent(&mut payload),
        Some(Fault::Truncate) => payload.truncate(payload.len() / 2),
        Some(Fault::Pad) => payload.resize(DEFAULT_MAX_PAYLOAD, 0),
        _ => {}
    }
    let mut frame = Vec::new();
    encode_frame(node.magic(), command, &payload, &mut frame);
    if fault == Some(Fault::BadChecksum) {
        // The last byte before the payload belongs to the checksum.
        frame[HEADER_SIZE - 1] ^= 1;
    }
    let frame = Bytes::from(frame);
    let in_time = |frame| Reply::Answer { frame, delay: Duration::ZERO };
    match fault {
        Some(Fault::Delay(delay)) => vec![Reply::Answer { frame, delay }],
        Some(Fault::Late(by)) => vec![Reply::StrayAnswer { frame, by }, Reply::NoAnswer],
        Some(Fault::Duplicate(Duration::ZERO)) => vec![in_time(frame.clone()), Reply::Send(frame)],
        Some(Fault::Duplicate(by)) => vec![in_time(frame.clone()), Reply::StrayAnswer { frame, by }],
        Some(Fault::Reorder) => vec![Reply::HeldAnswer { frame }],
        _ => vec![in_time(frame)],
    }
}

/// Makes the first header of a `headers2` refer to one before it.
fn leave_out_parent(payload: &mut Vec<u8>) {
    // The number of headers takes one byte, or three with this mark.
    let flags_at = if payload.first() == Some(&0xfd) { 3 } else { 1 };
    match payload.get_mut(flags_at) {
        Some(flags) => *flags = 0,
        None => *payload = vec![1],
    }
}

/// Flips one bit in the last third of a payload, where little says how long something is. Which one, the request decides,
/// so that all who forge agree.
fn forge(payload: &mut [u8], request: &[u8]) {
    let first = payload.len() * 2 / 3;
    let [bit, a, b, c, d, ..] = sha256::hash(request).to_byte_array();
    let place = u32::from_le_bytes([a, b, c, d]) as usize;
    if let Some(within) = place.checked_rem(payload.len() - first) {
        payload[first + within] ^= 1 << (bit % 8);
    }
}

pub(super) fn framed(node: &Node, name: Command, payload: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    encode_frame(node.magic(), name, payload, &mut frame);
    frame.into()
}
