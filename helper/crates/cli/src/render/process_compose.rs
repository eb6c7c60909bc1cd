use super::{STOP, Target};

/// A process-compose file. Readiness is asked for once a second, by a probe that gives up before process-compose
/// does; as many failures in a row as the threshold says are fatal there, so it leaves a minute to come up.
pub fn render(target: &Target<'_>) -> String {
    let mut out = String::from(
        "# Made by `nixbox-helper render --to process-compose`\nversion: \"0.5\"\ndisable_env_expansion: true\n",
    );
    let processes = target.processes();
    out += if processes.is_empty() { "processes: {}\n" } else { "processes:\n" };
    for process in processes {
        out += &format!("  {}:\n", quoted(&process.name));
        if let Some(description) = process.description {
            out += &format!("    description: {}\n", quoted(description));
        }
        out += &format!("    command: {}\n", quoted(&format!("exec {}", target.shell(&process.serve))));
        if let Some(after) = process.after {
            out += &format!("    depends_on:\n      {}:\n        condition: \"process_healthy\"\n", quoted(&after));
        }
        out += &format!(
            "    readiness_probe:\n      exec:\n        command: {}\n      period_seconds: 1\n      timeout_seconds: 5\n      failure_threshold: 60\n",
            quoted(&target.shell(&process.ready))
        );
        out += "    availability:\n      restart: \"on_failure\"\n      backoff_seconds: 1\n      max_restarts: 5\n";
        out += &format!("    shutdown:\n      signal: 15\n      timeout_seconds: {STOP}\n");
    }
    out
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
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn no_dollar_is_left_to_expand() {
        fixture::with(|target| {
            let text = render(target);
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
}
