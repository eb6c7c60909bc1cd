use nixbox_config::{Condition, Restart, RestartOn, Span};
use nixbox_report::Report;

use super::{Probe, STOP, Target};

/// A process-compose file.
pub fn render(target: &Target<'_>) -> Result<String, Report> {
    let mut out = String::from(
        "# Made by `nixbox-helper render --to process-compose`\nversion: \"0.5\"\ndisable_env_expansion: true\n",
    );
    let processes = target.processes_and_keeper()?;
    out += if processes.is_empty() { "processes: {}\n" } else { "processes:\n" };
    for process in processes {
        out += &format!("  {}:\n", quoted(&process.name));
        if let Some(description) = process.description {
            out += &format!("    description: {}\n", quoted(description));
        }
        out += &format!("    command: {}\n", quoted(&format!("exec {}", target.shell(&process.run))));
        if !process.needs.is_empty() {
            out += "    depends_on:\n";
        }
        for (name, condition) in &process.needs {
            let condition = match condition {
                Condition::Started => "process_started",
                Condition::Ready => "process_healthy",
                Condition::Completed => "process_completed_successfully",
            };
            out += &format!("      {}:\n        condition: \"{condition}\"\n", quoted(name));
        }
        if let Some(probe) = &process.probe {
            out += &readiness(probe, target);
        }
        out += &availability(&process.restart);
        out += &format!("    shutdown:\n      timeout_seconds: {STOP}\n");
    }
    Ok(out)
}

fn readiness(probe: &Probe<'_>, target: &Target<'_>) -> String {
    format!(
        "    readiness_probe:\n      exec:\n        command: {}\n      initial_delay_seconds: {}\n      \
         period_seconds: {}\n      timeout_seconds: {}\n      failure_threshold: {}\n",
        quoted(&target.shell(&probe.ask)),
        seconds(probe.delay),
        seconds(probe.interval),
        seconds(probe.timeout),
        probe.failures,
    )
}

/// It knows whole seconds alone, and a fixed time between two starts.
fn availability(restart: &Restart) -> String {
    let on = match restart.on {
        // No number of restarts is one without end to it.
        _ if restart.max == 0 => "no",
        RestartOn::Never => "no",
        RestartOn::OnFailure => "on_failure",
        RestartOn::Always | RestartOn::UnlessStopped => "always",
    };
    format!("    availability:\n      restart: \"{on}\"\n      max_restarts: {}\n", restart.max)
}

fn seconds(Span(span): Span) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// A YAML string. The dollar sign is written as a number: process-compose expands variables in the text of the
/// file, before YAML is read, and versions differ in whether that can be switched off.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '$' => out += "\\x24",
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn no_dollar_is_left_to_expand() {
        fixture::with(|target| {
            let text = render(target).unwrap();
            assert!(!text.contains('$'), "{text}");
            assert!(text.contains("it'\\\\''s \\x24HOME 100%"), "{text}");
            assert_eq!(text.matches("readiness_probe").count(), 2);
            assert!(!text.contains("agentfs-off"));
        });
    }

    #[test]
    fn strings_are_yaml() {
        assert_eq!(quoted("a: \"b\" \\ #c\n\u{7}ü"), "\"a: \\\"b\\\" \\\\ #c\\n\\u0007ü\"");
    }

    #[test]
    fn spans_are_whole_seconds_and_no_restart_is_not_any_number() {
        assert_eq!([Span::millis(0), Span::millis(1), Span::seconds(90)].map(seconds), [0, 1, 90]);
        let never = Restart { max: 0, ..Restart::default() };
        assert!(availability(&never).contains("restart: \"no\""));
    }
}
