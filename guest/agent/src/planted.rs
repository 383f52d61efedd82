//! Walls left out on purpose: see the launcher's file of this name. Only a build with the feature `planted` can leave out any.
#[cfg(feature = "planted")]
static MISSING: std::sync::OnceLock<String> = std::sync::OnceLock::new();

#[cfg(feature = "planted")]
pub fn choose(walls: &str) {
    MISSING.get_or_init(|| walls.to_owned());
}

#[cfg(feature = "planted")]
pub fn is_missing(wall: &str) -> bool {
    MISSING.get().is_some_and(|walls| walls.split(',').any(|name| name == wall))
}

#[cfg(not(feature = "planted"))]
pub const fn is_missing(_wall: &str) -> bool {
    false
}
