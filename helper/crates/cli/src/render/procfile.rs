use super::Target;

/// For honcho, foreman, overmind, hivemind: one line an instance. These know no readiness; whoever needs it calls
/// `nixbox-helper wait` first.
pub fn render(target: &Target<'_>) -> String {
    let processes = target.processes().into_iter();
    processes.map(|process| format!("{}: exec {}\n", process.name, target.shell(&process.serve))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::render::fixture;
    use std::process::Command;

    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        fixture::with(|target| {
            let text = render(target);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 2);
            let call = lines[0].strip_prefix("agentfs-a: exec ").unwrap();
            let output = Command::new("sh").args(["-c", &format!("printf '%s\\n' {call}")]).output().unwrap();
            let words: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(str::to_owned).collect();
            assert_eq!(words, target.words(&["serve", "a"]));
        });
    }
}
