use std::fmt;

/// Cheap blocks that a node puts on top of the real chain. As text how many, and behind a colon the height of the last
/// real block, unless that is the node's tip: `500` or `500:120`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JunkChain {
    /// How many blocks are mined: at most 1,000,000.
    pub blocks: u32,
    /// Height of the last real block; `None` is the node's tip when it starts.
    pub fork: Option<u32>,
}

impl JunkChain {
    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (blocks, fork) = match text.split_once(':') {
            Some((blocks, fork)) => (blocks, Some(fork.parse().ok()?)),
            None => (text, None),
        };
        let blocks = blocks.parse().ok().filter(|blocks| *blocks <= MAX_BLOCKS)?;
        Some(Self { blocks, fork })
    }
}

impl fmt::Display for JunkChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.blocks)?;
        self.fork.map_or(Ok(()), |fork| write!(f, ":{fork}"))
    }
}

/// More would take a node minutes to mine.
const MAX_BLOCKS: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for (text, blocks, fork) in [("500", 500, None), ("500:120", 500, Some(120))] {
            let junk = JunkChain::parse(text).unwrap();
            assert_eq!((junk.blocks, junk.fork, junk.to_string().as_str()), (blocks, fork, text));
        }
        for text in ["", "-1", "1000001", "500:", ":120", "500:tip"] {
            assert!(JunkChain::parse(text).is_none(), "{text:?}");
        }
    }
}
