use std::io::IsTerminal;

use nixbox_config::LogLevel;
use tracing_subscriber::filter::LevelFilter;

use crate::args::LogFormat;

/// Log lines go to stderr; a second call changes nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let base = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(filter(level))
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

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
