use std::fmt::{self, Display};

/// Values of a kind, one after the other with commas between them and nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<T>(pub(crate) T);

impl<T: Copy + IntoIterator<Item: Display>> Display for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, value) in self.0.into_iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_beside_each_other() {
        assert_eq!(Listed(&[1, 2, 30]).to_string(), "1,2,30");
        assert_eq!(Listed(&["a"]).to_string(), "a");
        assert_eq!(Listed(&[0_u8; 0]).to_string(), "");
    }
}
