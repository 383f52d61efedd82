//! Walls left out on purpose, so that the attack can be seen to notice. Only a build with the feature `planted` can leave out any, and no
//! build for use has it: `npm run planted` makes one apart, and shows which programs notice what.

/// Named by `CAISSON_PLANTED`, several with commas between.
#[cfg(feature = "planted")]
static MISSING: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| std::env::var("CAISSON_PLANTED").unwrap_or_default());

/// After the first call it allocates nothing, so that a child may ask too.
#[cfg(feature = "planted")]
pub fn is_missing(wall: &str) -> bool {
    MISSING.split(',').any(|name| name == wall)
}

#[cfg(not(feature = "planted"))]
pub const fn is_missing(_wall: &str) -> bool {
    false
}

/// The kernel shows /sys only to who owns the network, and /proc to who owns the process numbers: without a namespace of its own a sandbox can
/// but take the host's.
#[cfg(feature = "planted")]
pub fn instead_of(kind: &std::ffi::CStr) -> Option<&'static std::ffi::CStr> {
    let hosts = [(c"sysfs", "namespace-net", c"/sys"), (c"proc", "namespace-pid", c"/proc")];
    let taken = hosts.into_iter().find(|(own, wall, _)| *own == kind && is_missing(wall));
    taken.map(|(_, _, path)| path)
}

#[cfg(not(feature = "planted"))]
pub const fn instead_of(_kind: &std::ffi::CStr) -> Option<&'static std::ffi::CStr> {
    None
}

/// The agent has no environment.
#[cfg(feature = "planted")]
pub fn told_to_agent() -> std::ffi::CString {
    std::ffi::CString::new(MISSING.as_str()).unwrap_or_default()
}
