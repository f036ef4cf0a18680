use std::sync::{Arc, LazyLock};

use spv_simnet::{GeneratedSpec, World};

/// A small chain, for all that needs one.
pub(crate) static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    let spec = GeneratedSpec { masternodes: 8, cycles: 3, signatures: false, ..GeneratedSpec::DEFAULT };
    Arc::new(World::generate(&spec))
});
