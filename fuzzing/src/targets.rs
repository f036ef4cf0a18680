pub(crate) mod checked_diff;
pub(crate) mod correlation;
pub(crate) mod frames;
pub(crate) mod messages;
pub(crate) mod store_rows;
