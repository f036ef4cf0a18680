use fastrand::Rng;

/// A seed with some changes: bits, numbers at the edges of their range, and parts taken out, doubled, moved or taken from
/// another seed. Without any seed, noise.
pub fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.u32(1..=6) {
        change(&mut bytes, seeds, rng);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Longer inputs are slower and find no more.
const LONGEST: usize = 1 << 16;

const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    let end = at + rng.usize(..=(bytes.len() - at).min(64));
    match rng.u32(..8) {
        0 => flip(bytes, rng),
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
        2 => {
            let number = EDGES[rng.usize(..EDGES.len())].to_le_bytes();
            let width = 1 << rng.u32(..4);
            for (byte, edge) in bytes[at..].iter_mut().zip(&number[..width]) {
                *byte = *edge;
            }
        }
        3 => drop(bytes.drain(at..end)),
        4 => {
            let part = bytes[at..end].to_vec();
            let to = rng.usize(..=bytes.len());
            bytes.splice(to..to, part);
        }
        5 => {
            let noise: Vec<u8> = (0..rng.usize(1..16)).map(|_| rng.u8(..)).collect();
            bytes.splice(at..at, noise);
        }
        6 => bytes.truncate(at),
        _ => {
            let Some(other) = rng.choice(seeds) else { return };
            let from = rng.usize(..=other.len());
            let part = &other[from..(from + rng.usize(..256)).min(other.len())];
            bytes.splice(at..end, part.iter().copied());
        }
    }
}

fn flip(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u32(..8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_inputs_and_different_ones_do_not() {
        let seeds = [vec![1; 100], vec![2; 10]];
        let inputs = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..200).map(|_| mutated(&seeds, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        let changed = inputs(1).iter().filter(|input| !seeds.contains(input)).count();
        assert!(changed > 150, "{changed}");
    }
}
