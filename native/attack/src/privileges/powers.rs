//! Not an attack: what attacks execute, to see what a program gained.
use crate::kernel::read_text;
use std::process::ExitCode;

pub const NONE: u8 = 0;

/// 0: no capability in any set, and all four uids are the same.
pub fn tell() -> ExitCode {
    ExitCode::from(u8::from(!is_powerless()))
}

pub fn is_powerless() -> bool {
    let status = read_text("/proc/self/status");
    let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let none = sets.iter().all(|set| field(&status, set) == "0000000000000000");
    let uids: Vec<&str> = field(&status, "Uid:").split_whitespace().collect();
    none && uids.len() == 4 && uids.iter().all(|uid| uid == &uids[0])
}

pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default()
        .trim()
}
