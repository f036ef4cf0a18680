use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parking_lot::Mutex;
use spv_integration::store::panic_is_contained;

static UNCONTAINED: Mutex<Option<String>> = Mutex::new(None);

/// From now on notes panics that nothing contains, and says nothing of those that the store does, as `qrsync` does it.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !panic_is_contained() {
                UNCONTAINED.lock().get_or_insert_with(|| panic.to_string());
                before(panic);
            }
        }));
    });
}

/// The first panic that nothing contained since this was last asked.
pub(super) fn uncontained() -> Option<String> {
    UNCONTAINED.lock().take()
}

pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the sync itself panicked".to_owned())
}
