use dashcore::ChainParams;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQType;

use super::error::MembersError;
use super::evidence::Evidence;
use super::quarter::quarter_size;
use super::session::{Session, earlier_cycles, unrotated_list_height};

/// What the members of a quorum are computed from. Follows from heights alone, so that everything can be asked for
/// before the first answer is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Heights at which the state is needed, ascending.
    pub lists: Vec<u32>,
    /// Base heights of the cycles whose snapshot is needed, ascending.
    pub snapshots: Vec<u32>,
}

impl Needs {
    /// What is needed for the quorum of this kind with its base block at `base_height`.
    ///
    /// # Errors
    /// When the network has no such kind, or no DKG session of it starts there.
    pub fn of(llmq_type: LLMQType, base_height: u32, params: &ChainParams) -> Result<Self, MembersError> {
        let Session { llmq, cycle_base, index } = Session::locate(llmq_type, base_height, params)?;
        if index.is_none() {
            let lists = vec![unrotated_list_height(base_height, params)];
            return Ok(Self { lists, snapshots: Vec::new() });
        }
        let mut snapshots: Vec<_> = earlier_cycles(cycle_base, llmq, params).collect();
        snapshots.reverse();
        let cycles = snapshots.iter().chain([&cycle_base]);
        Ok(Self { lists: cycles.map(|cycle| cycle - WORK_BLOCK_DEPTH).collect(), snapshots })
    }

    /// What of this the evidence lacks. A cycle that turns out to have had too few masternodes has no snapshot, and
    /// nothing from before it is needed.
    #[must_use]
    pub fn missing_from(&self, evidence: &Evidence, params: &ChainParams) -> Self {
        let quarter = quarter_size(params.rotated());
        let too_few = |cycle: &&u32| {
            let state = evidence.state(*cycle - WORK_BLOCK_DEPTH);
            state.is_some_and(|state| state.masternodes().valid_count() < quarter)
        };
        let from = self.snapshots.iter().rev().find(too_few).map_or(0, |cycle| cycle + 1);
        let lists = self.lists.iter().filter(|&&height| {
            evidence.state(height).is_none() && height.saturating_add(WORK_BLOCK_DEPTH) >= from
        });
        let snapshots =
            self.snapshots.iter().filter(|&&cycle| evidence.snapshot(cycle).is_none() && cycle >= from);
        Self { lists: lists.copied().collect(), snapshots: snapshots.copied().collect() }
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.snapshots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use dashcore::Network;

    use super::*;

    fn needs(llmq_type: LLMQType, base_height: u32) -> Result<Needs, MembersError> {
        Needs::of(llmq_type, base_height, &ChainParams::new(Network::Dash))
    }

    #[test]
    fn the_list_moves_to_the_work_block_with_v20() {
        let lists = |base_height| needs(LLMQType::LLMQ_400_60, base_height).unwrap().lists;
        // v20 is active from 1,987,776 on, itself the base of a session.
        assert_eq!(lists(1_987_776), [1_987_768]);
        assert_eq!(lists(1_987_488), [1_987_488]);
    }

    #[test]
    fn a_rotated_quorum_needs_four_lists_and_three_snapshots() {
        let needs = needs(LLMQType::LLMQ_60_75, 2_240_352 + 31).unwrap();
        assert_eq!(needs.lists, [2_239_480, 2_239_768, 2_240_056, 2_240_344]);
        assert_eq!(needs.snapshots, [2_239_488, 2_239_776, 2_240_064]);
        assert_eq!(needs.missing_from(&Evidence::new(), &ChainParams::new(Network::Dash)), needs);
    }

    #[test]
    fn the_first_cycles_need_nothing_from_before_rotation() {
        let first: u32 = 1_737_792;
        let snapshots = |cycle: u32| needs(LLMQType::LLMQ_60_75, first + cycle * 288).unwrap().snapshots;
        assert_eq!(snapshots(0), []);
        assert_eq!(snapshots(1), [first]);
        assert_eq!(snapshots(2), [first, first + 288]);
    }

    #[test]
    fn heights_without_a_session_are_refused() {
        for (llmq_type, base_height) in [
            (LLMQType::LLMQ_60_75, 2_240_352 + 32),
            (LLMQType::LLMQ_60_75, 1_737_792 - 288),
            (LLMQType::LLMQ_400_60, 2_240_353),
            (LLMQType::LLMQ_400_60, 0),
        ] {
            let error = MembersError::NoSession { llmq_type, base_height };
            assert_eq!(needs(llmq_type, base_height), Err(error));
        }
        let test = LLMQType::LLMQ_TEST;
        assert_eq!(needs(test, 24), Err(MembersError::UnknownType(test)));
    }
}
