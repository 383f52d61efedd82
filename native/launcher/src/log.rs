//! What nobody is there to be told: one JSON object a line, on stderr.
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn warning(message: &str) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    eprintln!(
        "{}",
        json!({ "time": since.as_millis() as u64, "level": "warn", "process": "launcher", "message": message })
    );
}
