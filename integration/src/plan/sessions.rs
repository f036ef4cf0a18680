use dashcore::sml::llmq_type::LLMQParams;

/// Heights of the base blocks of all sessions of a kind whose commitments may be mined above `after` and not above
/// `until`: blocks carry commitments only in the mining window of their session, and at most one of each session and
/// index.
pub(crate) fn sessions_between(
    llmq: &LLMQParams,
    after: u32,
    until: u32,
) -> impl Iterator<Item = u32> + use<> {
    let LLMQParams { dkg_interval, mining_window_start, mining_window_end, .. } = *llmq;
    let earliest = after.saturating_sub(mining_window_end);
    (earliest - earliest % dkg_interval..=until)
        .step_by(dkg_interval as usize)
        .filter(move |base| base + mining_window_start <= until && base + mining_window_end > after)
        .filter(move |_| after < until)
}

#[cfg(test)]
mod tests {
    use dashcore::sml::llmq_type::LLMQType;
    use dashcore::{ChainParams, Network};

    use super::*;

    #[test]
    fn a_session_counts_where_its_window_reaches_into_the_range() {
        let params = ChainParams::new(Network::Dash);
        // Every 288 blocks, from the 20th to the 28th.
        let llmq = params.llmq(LLMQType(2)).unwrap();
        let none: &[u32] = &[];
        for (after, until, bases) in [
            (0, 19, none),
            (0, 20, &[0]),
            (19, 20, &[0]),
            (20, 20, none),
            (27, 28, &[0]),
            (28, 307, none),
            (28, 308, &[288]),
            (24, 700, &[0, 288, 576]),
            (400, 300, none),
        ] {
            let sessions: Vec<u32> = sessions_between(llmq, after, until).collect();
            assert_eq!(sessions, bases, "{after} to {until}");
        }
    }
}
