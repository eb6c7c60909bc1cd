use std::io::IsTerminal;

use nixbox_config::LogLevel;
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Log lines go to stderr; a second call changes nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let base = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::new(filter(level)))
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

/// What libraries say of themselves is their own affair: the MCP one tells of every request at `info`, and at `trace` of
/// what is in it; the store of an encrypted database has thousands of lines for one start.
fn filter(level: LogLevel) -> String {
    let quiet = level.min(LogLevel::Warn);
    format!("{level},rmcp={quiet},turso_core={quiet}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_say_is_never_logged() {
        assert_eq!(filter(LogLevel::Trace), "trace,rmcp=warn,turso_core=warn");
        assert_eq!(filter(LogLevel::Error), "error,rmcp=error,turso_core=error");
    }
}
