use dashcore::ChainParams;
use spv_integration::store::Store;

/// Compares every list of a fresh sync with what is held; gives how many there were, or the height of the first that is
/// missing or differs.
pub(super) fn compare(held: &Store, fresh: &Store, params: &ChainParams) -> Result<usize, u32> {
    let lists = fresh.lists().map_err(|_| 0_u32)?;
    for &(height, _) in &lists {
        let [Ok(Some(held)), Ok(Some(fresh))] = [held, fresh].map(|store| store.state(params, height)) else {
            return Err(height);
        };
        let same_quorums = held
            .quorums()
            .iter()
            .map(|quorum| &*quorum.entry)
            .eq(fresh.quorums().iter().map(|quorum| &*quorum.entry));
        let same_masternodes = held.masternodes().iter().eq(fresh.masternodes().iter());
        if held.block_hash() != fresh.block_hash() || !same_quorums || !same_masternodes {
            return Err(height);
        }
    }
    Ok(lists.len())
}
