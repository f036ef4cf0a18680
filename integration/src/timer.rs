use tokio::time::Instant;

/// Resolves at this time; never where there is none.
///
/// # Cancel safety
/// Cancel safe.
pub(crate) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
