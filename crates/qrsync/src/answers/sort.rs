use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An order: a key, with a minus before it for the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "")]
pub(crate) struct Sort<K: ValueEnum + Copy> {
    key: K,
    is_descending: bool,
}

impl<K: ValueEnum + Copy> Sort<K> {
    /// Sorts by the key. Equal elements keep their order.
    pub(crate) fn apply<T, O: Ord>(self, items: &mut [T], key: impl Fn(K, &T) -> O) {
        if self.is_descending {
            items.sort_by_cached_key(|item| std::cmp::Reverse(key(self.key, item)));
        } else {
            items.sort_by_cached_key(|item| key(self.key, item));
        }
    }
}

impl<K: ValueEnum + Copy> FromStr for Sort<K> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let names = || {
            let names = K::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
        };
        match K::from_str(name, false) {
            Ok(key) => Ok(Self { key, is_descending }),
            Err(_) => Err(format!(
                "{text:?} is no order; use one of {}, with a minus before it to reverse",
                names()
            )),
        }
    }
}

impl<K: ValueEnum + Copy> TryFrom<String> for Sort<K> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl<K: ValueEnum + Copy> fmt::Display for Sort<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.key.to_possible_value();
        let minus = if self.is_descending { "-" } else { "" };
        write!(f, "{minus}{}", value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl<K: ValueEnum + Copy> From<Sort<K>> for String {
    fn from(sort: Sort<K>) -> Self {
        sort.to_string()
    }
}
