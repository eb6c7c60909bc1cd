use super::{Process, STOP, Target};

/// One unit a process: its file name and its text.
pub fn render(target: &Target<'_>) -> Vec<(String, String)> {
    let unit = |process: Process<'_>| {
        let start: Vec<String> = target.words(&process.serve).iter().map(|word| quoted(word)).collect();
        let about = process.description.map_or(process.about, str::to_owned);
        let after = process.after.map(|after| format!("Wants={after}.service\nAfter={after}.service\n"));
        format!(
            "[Unit]\nDescription={}\n{}\n[Service]\n# Ready when the owner says so, by sd_notify\nType=notify\nNotifyAccess=main\nExecStart={}\nRestart=on-failure\nRestartSec=2\n# Wrong configuration, held by another owner, refused: trying again is no help\nRestartPreventExitStatus=2 4 7\n# The owner unmounts by itself; only what it leaves is killed\nKillMode=mixed\nTimeoutStopSec={STOP}\n\n[Install]\nWantedBy=default.target\n",
            line(&about),
            after.unwrap_or_default(),
            start.join(" "),
        )
    };
    target.processes().into_iter().map(|process| (format!("{}.service", process.name), unit(process))).collect()
}

/// A word of ExecStart: `%` starts a specifier, `$` a variable, the rest is as in C.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '%' => out += "%%",
            '$' => out += "$$",
            c => out.push(c),
        }
    }
    out + "\""
}

fn line(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ").trim_end_matches('\\').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn words_are_quoted_for_systemd() {
        fixture::with(|target| {
            let units = render(target);
            let names: Vec<_> = units.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["agentfs-a.service", "agentfs-b.service"]);
            let text = &units[0].1;
            assert!(text.contains("it's $$HOME 100%%/nixbox-helper\" --config \"/"), "{text}");
            assert!(text.contains("Description=first: \"a\" $x\n"), "{text}");
        });
    }
}
