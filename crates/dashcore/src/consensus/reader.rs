use super::{DecodeError, DecodeErrorKind};

/// Largest CompactSize accepted as a length, as in Dash Core (`MAX_SIZE`, serialize.h).
const MAX_LENGTH: u64 = 0x0200_0000;

/// A value that can be read from the wire format.
pub trait Decodable: Sized {
    /// Bytes that the shortest valid encoding takes; bounds how many elements a length field may claim.
    const MIN_SIZE: usize;

    /// Reads one value.
    ///
    /// # Errors
    /// Says at which byte, in which field and why the bytes are no valid encoding.
    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Cursor over a payload that remembers which field it is in, so that errors can say where and why.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    position: usize,
    field: &'static str,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, field: "payload" }
    }

    /// Names the field that is read next.
    #[inline]
    pub fn field(&mut self, name: &'static str) -> &mut Self {
        self.field = name;
        self
    }

    /// Bytes consumed so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    /// The next `count` bytes, borrowed.
    ///
    /// # Errors
    /// [`DecodeErrorKind::UnexpectedEnd`] when fewer are left.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let available = self.remaining();
        if count > available {
            return Err(self.error(DecodeErrorKind::UnexpectedEnd { needed: count, available }));
        }
        let start = self.position;
        self.position += count;
        Ok(&self.data[start..self.position])
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeErrorKind::UnexpectedEnd`] when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Reads a CompactSize in its only valid (shortest) form.
    ///
    /// # Errors
    /// When it ends early or is longer than needed.
    pub fn compact_size(&mut self) -> Result<u64, DecodeError> {
        let start = self.position;
        let (value, smallest) = match u8::from_le_bytes(self.array()?) {
            0xfd => (u64::from(u16::from_le_bytes(self.array()?)), 0xfd),
            0xfe => (u64::from(u32::from_le_bytes(self.array()?)), 0x1_0000),
            0xff => (u64::from_le_bytes(self.array()?), 0x1_0000_0000),
            short => (u64::from(short), 0),
        };
        if value < smallest {
            return Err(self.error_at(start, DecodeErrorKind::NonMinimalCompactSize));
        }
        Ok(value)
    }

    /// Reads a CompactSize that counts elements of at least `min_element_size` bytes each.
    ///
    /// # Errors
    /// Also when the remaining bytes cannot hold that many elements: memory is never reserved on a peer's word.
    pub fn length(&mut self, min_element_size: usize) -> Result<usize, DecodeError> {
        let start = self.position;
        let length = self.compact_size()?;
        let limit = self.remaining() / min_element_size.max(1);
        match usize::try_from(length) {
            Ok(count) if length <= MAX_LENGTH && count <= limit => Ok(count),
            _ => Err(self.error_at(start, DecodeErrorKind::LengthTooLarge { length, limit })),
        }
    }

    /// Reads a length and that many elements.
    ///
    /// # Errors
    /// The first error of the length or an element.
    pub fn vec<T: Decodable>(&mut self, field: &'static str) -> Result<Vec<T>, DecodeError> {
        self.vec_up_to(field, usize::MAX)
    }

    /// Reads a length of at most `limit` and that many elements. For elements that take far more memory than bytes.
    ///
    /// # Errors
    /// The first error of the length or an element.
    pub fn vec_up_to<T: Decodable>(
        &mut self,
        field: &'static str,
        limit: usize,
    ) -> Result<Vec<T>, DecodeError> {
        self.field = field;
        let start = self.position;
        let count = self.length(T::MIN_SIZE)?;
        if count > limit {
            let kind = DecodeErrorKind::LengthTooLarge { length: count as u64, limit };
            return Err(self.error_at(start, kind));
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            self.field = field;
            elements.push(T::consensus_decode(self)?);
        }
        Ok(elements)
    }

    /// Reads a length and that many bytes, borrowed.
    ///
    /// # Errors
    /// When there are fewer bytes than the length says.
    pub fn var_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.length(1)?;
        self.bytes(count)
    }

    /// Reads one value as field `field`.
    ///
    /// # Errors
    /// The error of decoding it.
    #[inline]
    pub fn read<T: Decodable>(&mut self, field: &'static str) -> Result<T, DecodeError> {
        self.field = field;
        T::consensus_decode(self)
    }

    /// Succeeds only at the end of the payload.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`] when bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(self.error(DecodeErrorKind::TrailingBytes { remaining })),
        }
    }

    /// An error at the current position.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        self.error_at(self.position, kind)
    }

    /// An error at an earlier position.
    pub fn error_at(&self, offset: usize, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { offset, field: self.field, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_size_must_be_minimal() {
        for (bytes, value) in [
            (&[0xfc][..], 0xfc),
            (&[0xfd, 0xfd, 0x00], 0xfd),
            (&[0xfe, 0, 0, 1, 0], 0x1_0000),
            (&[0xff, 0, 0, 0, 0, 1, 0, 0, 0], 0x1_0000_0000),
        ] {
            assert_eq!(Reader::new(bytes).compact_size(), Ok(value));
        }
        for bytes in [&[0xfd, 0xfc, 0x00][..], &[0xfe, 0xff, 0xff, 0, 0], &[0xff, 0, 0, 0, 0xff, 0, 0, 0, 0]]
        {
            let error = Reader::new(bytes).compact_size().unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::NonMinimalCompactSize);
            assert_eq!(error.offset, 0);
        }
    }

    #[test]
    fn length_is_bounded_by_what_is_there() {
        let mut claim = vec![0xfe, 0xff, 0xff, 0xff, 0x01];
        claim.extend([0; 95]);
        let error = Reader::new(&claim).vec::<u64>("numbers").unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 0x01ff_ffff, limit: 11 });
        assert_eq!(error.field, "numbers");
    }

    #[test]
    fn length_is_bounded_by_what_the_protocol_allows() {
        let error = Reader::new(&[3, 1, 2, 3]).vec_up_to::<u8>("numbers", 2).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 3, limit: 2 });
        assert_eq!((error.offset, error.field), (0, "numbers"));
        assert_eq!(Reader::new(&[2, 1, 2]).vec_up_to("numbers", 2), Ok(vec![1_u8, 2]));
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut reader = Reader::new(&[1, 2, 3]);
        let first: u8 = reader.read("first").unwrap();
        assert_eq!(first, 1);
        assert_eq!(reader.finish().unwrap_err().kind, DecodeErrorKind::TrailingBytes { remaining: 2 });
    }
}
