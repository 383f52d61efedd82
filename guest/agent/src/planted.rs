//! Walls left out on purpose: see the launcher's file of this name. Only a build with the feature `planted` can leave out any.
#[cfg(feature = "planted")]
use {
    alloc::{borrow::ToOwned, boxed::Box, string::String},
    core::ptr::null_mut,
    core::sync::atomic::{AtomicPtr, Ordering},
};

#[cfg(feature = "planted")]
static MISSING: AtomicPtr<String> = AtomicPtr::new(null_mut());

#[cfg(feature = "planted")]
pub fn choose(walls: &str) {
    MISSING.store(Box::into_raw(Box::new(walls.to_owned())), Ordering::Relaxed);
}

#[cfg(feature = "planted")]
pub fn is_missing(wall: &str) -> bool {
    // SAFETY: null, or what was chosen, which is never freed or changed.
    let missing = unsafe { MISSING.load(Ordering::Relaxed).as_ref() };
    missing.is_some_and(|walls| walls.split(',').any(|name| name == wall))
}

#[cfg(not(feature = "planted"))]
pub const fn is_missing(_wall: &str) -> bool {
    false
}
