//! What the driver knows of the host, so that an attack need not guess. Everything is told backwards: else a search for it would find the
//! hint itself.

fn hint(name: &str) -> String {
    std::env::var(format!("ATTACK_{name}"))
        .unwrap_or_default()
        .chars()
        .rev()
        .collect()
}

fn hints(name: &str) -> Vec<String> {
    hint(name)
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A file of the host that everybody there may read and write.
pub fn host_file() -> String {
    hint("FILE")
}

/// Where the host listens for those who come out: TCP, on each of `host_addresses`.
pub fn host_port() -> u16 {
    hint("PORT").parse().unwrap_or(1)
}

pub fn host_addresses() -> Vec<String> {
    hints("ADDRESSES")
}

/// ADDRESS:PORT of what serves the worker: control.
pub fn services() -> Vec<String> {
    hints("SERVICES")
}

/// Unix sockets of the host that only a path leads to.
pub fn socket_paths() -> Vec<String> {
    hints("SOCKETS")
}

pub fn abstract_socket() -> String {
    hint("ABSTRACT")
}

pub fn host_name() -> String {
    hint("HOSTNAME")
}

/// Words that stand somewhere on the host, and nowhere in the sandbox.
pub fn markers() -> Vec<String> {
    hints("MARKERS")
}

/// Of this run alone: what it leaves behind is found by it.
pub fn word() -> String {
    hint("WORD")
}

/// In seconds.
pub fn host_uptime() -> f64 {
    hint("UPTIME").parse().unwrap_or_default()
}
