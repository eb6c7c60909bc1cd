use super::{STOP, Target};

/// A process-compose file. Readiness is asked for once a second, by a probe that gives up before process-compose
/// does; as many failures in a row as the threshold says are fatal there, so it leaves a minute to come up.
pub fn render(target: &Target<'_>) -> String {
    let mut out = String::from(
        "# Made by `nixbox-helper render --to process-compose`\nversion: \"0.5\"\ndisable_env_expansion: true\n",
    );
    out += if target.project.enabled().next().is_some() { "processes:\n" } else { "processes: {}\n" };
    for instance in target.project.enabled() {
        let name = &instance.name;
        out += &format!("  {}:\n", quoted(&format!("agentfs-{name}")));
        if !instance.description.is_empty() {
            out += &format!("    description: {}\n", quoted(&instance.description));
        }
        out += &format!("    command: {}\n", quoted(&format!("exec {}", target.shell(&["serve", name]))));
        let probe = target.shell(&["ready", name, "--timeout", "2"]);
        out += &format!(
            "    readiness_probe:\n      exec:\n        command: {}\n      period_seconds: 1\n      timeout_seconds: 5\n      failure_threshold: 60\n",
            quoted(&probe)
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
