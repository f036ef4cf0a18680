use std::sync::Arc;

use futures::future::FutureExt;

use super::{Hearing, Said};
use crate::chain::HeaderChain;
use crate::headers::exchange::BatchError;

/// The first headers above a checkpoint are taken provisionally until those below it are known.
impl Hearing<'_> {
    /// Begins to fetch and store the headers below the start, if any are missing.
    pub(super) fn descend(&mut self) {
        let start = self.own.truncated(self.own.start_height());
        if let Some(start) = start.filter(|start| start.missing_below().is_some()) {
            let (exchange, ahead) = (self.exchange, self.ahead);
            let descent = async move {
                let start = Arc::new(exchange.descend(start).await);
                ahead.save_start(start.clone()).await;
                start
            };
            self.descent = Some(descent.boxed());
        }
    }

    /// Holds all chains to the headers below the start. Those that break a rule are forgotten, and the peers that showed them
    /// are to blame.
    pub(super) fn anchored_at(&mut self, start: Arc<HeaderChain>) {
        (self.descent, self.anchored) = (None, Some(start.clone()));
        let broken_rule = |chain: &HeaderChain| chain.clone().adopt_ancestry(&start).err();
        for chain in [&mut self.own, &mut self.remembered] {
            if broken_rule(chain).is_some() {
                *chain = start.clone();
            }
        }
        let heard = self.exchange.peers.all_heard();
        let wrong = heard.into_iter().filter_map(|(peer, heard)| Some((peer, broken_rule(&heard.chain)?)));
        let wrong: Vec<_> = wrong.collect();
        // What waited for this is asked for again.
        let waits = |said: Said| said == Said::Nothing || !wrong.is_empty();
        for hearsay in self.peers.values_mut().filter(|hearsay| waits(hearsay.said)) {
            (hearsay.said, hearsay.retry_at) = (Said::Nothing, hearsay.waits_since);
        }
        if wrong.is_empty() {
            return;
        }
        for (peer, error) in wrong {
            self.exchange.reject(peer, &BatchError::from(error));
        }
        self.exchange.peers.forget_heard();
        self.leader = None;
        self.tips.start_again();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dash_num::Arith256;
    use dashcore::params::Retargeting;
    use dashcore::{ChainParams, Checkpoint, Header};

    use super::*;
    use crate::fleet::Scene;
    use crate::headers::ahead::Ahead;
    use crate::headers::exchange::HeaderExchange;
    use crate::headers::patience::Patience;
    use crate::headers::tips::Tips;
    use crate::quorums::ChainLocks;
    use crate::store::Store;
    use crate::verification::Verification;

    const START: u32 = 60;

    fn params(scene: &Scene) -> ChainParams {
        let checkpoint = Checkpoint {
            height: START,
            hash: scene.world.block_hash(START).unwrap(),
            header: scene.world.header(START).copied(),
            chain_work: Arith256::from_u64(120),
            is_work_assumed: false,
            below: Vec::new(),
        };
        ChainParams {
            retargeting: Retargeting::DarkGravityWave {
                from: 30,
                exact_from: 30,
                allow_min_difficulty: false,
            },
            minimum_difficulty_blocks: u32::MAX,
            checkpoints: vec![checkpoint],
            ..scene.world.params().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_breaks_a_rule_just_above_the_start_goes_with_the_good_name_of_who_showed_it() {
        let scene = Scene::with("", |_| {}).await;
        let params = params(&scene);
        let start = HeaderChain::starting_at_or_below(&params, u32::MAX);
        assert_eq!(start.start_height(), START);
        let mut wrong = start.clone();
        let harder = Header { bits: 0x207f_fffe, ..*scene.world.header(START + 1).unwrap() };
        wrong.push_unmined(harder, harder.block_hash());

        let exchange = HeaderExchange::new(scene.peers.clone(), Verification::Inline);
        let store = Arc::new(Store::in_memory(&params.network).unwrap());
        let ahead = Ahead::new(store.clone(), &params, Verification::Inline);
        let patience = Patience { longest: Duration::from_secs(5), poll: Duration::from_secs(60) };
        let (tips, own) = (Tips::new(), Arc::new(start.clone()));
        let best = store.watch_chain_lock().unwrap();
        let locks = ChainLocks::new(store, &params, Verification::Inline, best);
        let mut hearing = Hearing::new(&exchange, &tips, &ahead, &locks, own.clone(), own, patience);
        for chain in [start.clone(), wrong] {
            let chain = Arc::new(chain);
            scene.peers.heard(scene.peer, chain.clone(), true, true);
            tips.offer(vec![chain.clone()], &chain);
            let anchored = Arc::new(exchange.descend(start.clone()).await);
            assert_eq!((anchored.missing_below(), anchored.below().count()), (None, 24));
            hearing.anchored_at(anchored);
            let is_right = chain.tip_height() == START;
            assert_eq!(tips.known().chain.is_some(), is_right);
            assert_eq!(scene.peers.heard_of(&scene.peer).is_some(), is_right);
            assert_eq!(scene.peers.reports()[&scene.peer].failed, u64::from(!is_right));
        }
    }
}
