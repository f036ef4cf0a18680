use bytes::{Buf, BytesMut};
use dashcore::network::framing::{DEFAULT_MAX_PAYLOAD, Frame, FrameDecoder, FrameError, encode_frame};

use crate::recording::STREAMS;
use crate::worlds::WORLD;

/// The first byte says in how large pieces the rest comes.
pub(crate) fn run(input: &[u8]) -> bool {
    let Some((&step, stream)) = input.split_first() else { return false };
    let whole = frames(stream, stream.len().max(1));
    let in_pieces = frames(stream, usize::from(step) + 1);
    assert_eq!(whole, in_pieces);
    let mut again = Vec::new();
    for frame in &whole.0 {
        if !frame.checksum_valid {
            return true;
        }
        encode_frame(WORLD.params().magic, frame.command, &frame.payload, &mut again);
    }
    assert!(stream.starts_with(&again));
    !whole.0.is_empty()
}

/// The messages of a stream that comes in pieces, and how it ends.
fn frames(stream: &[u8], step: usize) -> (Vec<Frame>, Result<usize, FrameError>) {
    let decoder = FrameDecoder::new(WORLD.params().magic, DEFAULT_MAX_PAYLOAD);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(buffer.remaining()))
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    STREAMS.iter().map(|stream| [&[200], &stream[..stream.len().min(4_096)]].concat()).collect()
}
