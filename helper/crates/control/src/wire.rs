//! One JSON object a line. The limit keeps a confused peer from filling memory.

use serde::{Serialize, de::DeserializeOwned};

/// Longest line either side reads.
pub const MAX_LINE: usize = 64 * 1024;

pub fn encode(message: &impl Serialize) -> Vec<u8> {
    // The message types hold no maps with non-string keys and no failing serializers.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(line)
}
