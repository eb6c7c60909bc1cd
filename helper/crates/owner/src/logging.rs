use std::io::IsTerminal;

use nixbox_config::LogLevel;
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Log lines go to stderr; a second call changes nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let base = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(level))
        .with_target(false)
        .log_internal_errors(false);
    let _ = match format {
        LogFormat::Human => base.with_ansi(coloured(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => base.json().flatten_event(true).try_init(),
    };
}

pub(crate) fn coloured(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What the store of an encrypted database says of itself is its own affair: thousands of lines for one start, and
/// nobody promises what is in them.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("{level},turso_core={}", level.min(LogLevel::Warn)))
}
