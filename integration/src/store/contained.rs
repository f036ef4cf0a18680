use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is working on the database, so that a panic becomes an error there: the database panics on some
/// damaged files. A program may ask so in its panic hook, and leave the message out, as the error says it all.
pub fn panic_is_contained() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

/// Does work that may panic; `None` where it did.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.with(|depth| depth.set(depth.get() - 1));
        }
    }
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _leave = Leave;
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_known_to_be_so_while_it_lasts() {
        assert!(!panic_is_contained());
        assert_eq!(contained(panic_is_contained), Some(true));
        let panicked = contained(|| {
            assert_eq!(contained(|| 7), Some(7));
            assert!(panic_is_contained(), "still, after work within work");
            std::panic::resume_unwind(Box::new("a page"))
        });
        assert_eq!(panicked, None::<()>);
        assert!(!panic_is_contained());
    }
}
