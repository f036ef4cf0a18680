use std::time::Duration;

use crate::Depth;

/// The smallest depth that keeps a peer busy, never above `cap`.
///
/// With `c` requests in flight a serial peer ends `c` in a round trip and a service time, and at most one per service
/// time. So one more gains nothing once `(c - 1) * service >= rtt`. And a peer that stops reading while more than a
/// megabyte of answers is unsent cannot take up what would exceed it.
pub(crate) fn worthwhile(cap: Depth, rtt: Duration, service: Duration, answer_bytes: f64) -> Depth {
    let hides_round_trip = |depth: Depth| service.saturating_mul(u32::from(u8::from(depth)) - 1) >= rtt;
    let stays_readable = |depth: Depth| answer_bytes * f64::from(u8::from(depth)) <= UNSENT_BYTES;
    let deeper = [Depth::TWO, Depth::THREE].into_iter().filter(|depth| *depth <= cap);
    deeper.fold(Depth::ONE, |depth, deeper| {
        let one_less = Depth::try_from(u8::from(deeper) - 1);
        if one_less == Ok(depth) && !hides_round_trip(depth) && stays_readable(deeper) {
            deeper
        } else {
            depth
        }
    })
}

/// Where Bitcoin-family nodes stop reading by default (`-maxsendbuffer`).
const UNSENT_BYTES: f64 = 1_000_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn depth_hides_the_round_trip_and_no_more() {
        for (cap, rtt, service, bytes, expected) in [
            (Depth::THREE, 100, 10, 1_000.0, Depth::THREE),
            (Depth::THREE, 100, 99, 1_000.0, Depth::THREE),
            (Depth::THREE, 100, 100, 1_000.0, Depth::TWO),
            (Depth::THREE, 100, 10_000, 1_000.0, Depth::TWO),
            (Depth::THREE, 0, 10, 1_000.0, Depth::ONE),
            (Depth::TWO, 100, 10, 1_000.0, Depth::TWO),
            (Depth::ONE, 100, 10, 1_000.0, Depth::ONE),
            (Depth::THREE, 100, 10, 450_000.0, Depth::TWO),
            (Depth::THREE, 100, 10, 600_000.0, Depth::ONE),
        ] {
            assert_eq!(worthwhile(cap, ms(rtt), ms(service), bytes), expected, "{rtt} {service} {bytes}");
        }
    }

    proptest! {
        /// Against the completion rate of a serial peer: one less is slower, one more is no faster.
        #[test]
        fn the_depth_is_the_smallest_of_the_fastest(rtt in 1..1_000_u64, service in 1..1_000_u64) {
            let depth = worthwhile(Depth::THREE, ms(rtt), ms(service), 0.0).get() as u64;
            // Requests per `service * (rtt + service)`, so that it stays exact.
            let rate = |depth: u64| (depth * service).min(rtt + service);
            prop_assert_eq!(rate(depth), rate(3));
            prop_assert!(depth == 1 || rate(depth - 1) < rate(depth));
        }
    }
}
