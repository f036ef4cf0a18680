use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Page {
    pub host: usize,
    pub is_urgent: bool,
    pub found_after: Duration,
}

/// Pages per second that each host allows, and that we want from all of them.
pub const PER_HOST: u32 = 50;
pub const PER_SECOND: u32 = 200;

/// Pages that may be fetched at once after a pause, of one host and of all.
pub const BURST: u32 = 4;

pub const FOUND_AFTER: Duration = Duration::from_millis(300);

pub const FETCHING: Duration = Duration::from_millis(5);

/// A hundred pages of one host and ten of each of eight others, and later ten urgent ones of the first.
pub fn all() -> Vec<Page> {
    let hosts = std::iter::repeat_n(0, 100).chain((1..9).flat_map(|host| [host; 10]));
    let usual = hosts.map(|host| Page { host, is_urgent: false, found_after: Duration::ZERO });
    let urgent = Page { host: 0, is_urgent: true, found_after: FOUND_AFTER };
    usual.chain(std::iter::repeat_n(urgent, 10)).collect()
}
