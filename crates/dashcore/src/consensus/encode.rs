use super::{Decodable, DecodeError, DecodeErrorKind, Reader};

/// A value that can be written in the wire format.
pub trait Encodable {
    /// Appends the encoding to `out`.
    fn consensus_encode(&self, out: &mut Vec<u8>);
}

/// Encodes a value.
pub fn serialize<T: Encodable + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.consensus_encode(&mut out);
    out
}

/// Decodes a value that fills `data` to the last byte.
///
/// # Errors
/// Also when bytes are left over.
pub fn deserialize<T: Decodable>(data: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(data);
    let value = T::consensus_decode(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// A CompactSize that counts something in memory.
pub(crate) fn encode_compact_size(length: usize, out: &mut Vec<u8>) {
    encode_compact_u64(length as u64, out);
}

/// A CompactSize in its shortest form.
pub(crate) fn encode_compact_u64(value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfc => out.push(bytes[0]),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend_from_slice(&bytes[..4]);
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&bytes);
        }
    }
}

pub(crate) fn encode_vec<T: Encodable>(elements: &[T], out: &mut Vec<u8>) {
    encode_compact_size(elements.len(), out);
    for element in elements {
        element.consensus_encode(out);
    }
}

macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl Encodable for $integer {
            fn consensus_encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }

        impl Decodable for $integer {
            const MIN_SIZE: usize = size_of::<Self>();

            fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        }
    )+};
}

integers!(u8, u16, u32, u64, i16, i32, i64);

impl Encodable for bool {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decodable for bool {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match u8::consensus_decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(value) })),
        }
    }
}

impl<const N: usize> Encodable for [u8; N] {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decodable for [u8; N] {
    const MIN_SIZE: usize = N;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}
