use fastrand::Rng;
use simulation::{read_changed, stored_bytes};

/// Each six bytes change one of the database: where, how, and to what.
pub(crate) fn run(input: &[u8]) -> bool {
    let read = read_changed(|bytes| {
        for &[a, b, c, d, how, value] in input.as_chunks().0.iter().take(MOST) {
            let Ok(at) = usize::try_from(u32::from_le_bytes([a, b, c, d])) else { return };
            let at = at % bytes.len();
            match how % 4 {
                0 => bytes[at] = value,
                1 => bytes[at] ^= 1 << (value % 8),
                2 => bytes[at] = bytes[at].wrapping_add(value),
                _ => bytes[at..].iter_mut().take(value.into()).for_each(|byte| *byte = 0),
            }
        }
    });
    read.unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// More changes make nothing harder.
const MOST: usize = 16;

/// One bit flipped at a time, in places where something is stored.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let bytes = stored_bytes();
    let used: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
    let mut rng = Rng::with_seed(1);
    let seed = |_| {
        let at = used[rng.usize(..used.len())];
        let place = u32::try_from(at).unwrap_or_default().to_le_bytes();
        [&place[..], &[1, rng.u8(..8)]].concat()
    };
    std::iter::once(Vec::new()).chain((0..300).map(seed)).collect()
}
