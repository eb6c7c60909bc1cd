//! Variables as a shell's own code. Every value arrives exactly as it is, whatever is in it.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Shell {
    /// Also for every other POSIX shell
    #[default]
    Bash,
    Zsh,
    Fish,
    /// To be saved and sourced, or use `--format json | from json | load-env`
    Nu,
    Powershell,
}

impl Shell {
    /// Statements, each on its line.
    pub fn exports<'v>(self, variables: impl IntoIterator<Item = (&'v String, &'v String)>) -> String {
        let mut text = String::new();
        for (name, value) in variables {
            self.export(&mut text, name, value);
        }
        text
    }

    fn export(self, text: &mut String, name: &str, value: &str) {
        let (before, between, quoted) = match self {
            Self::Bash | Self::Zsh => ("export ", "=", posix(value)),
            Self::Fish => ("set -gx ", " ", fish(value)),
            Self::Nu => ("$env.", " = ", nu(value)),
            Self::Powershell => ("$env:", " = ", powershell(value)),
        };
        text.extend([before, name, between, &quoted, "\n"]);
    }
}

/// Within single quotes everything is itself but the single quote.
pub fn posix(value: &str) -> String {
    match value.contains('\'') {
        false => ["'", value, "'"].concat(),
        true => ["'", &value.replace('\'', r"'\''"), "'"].concat(),
    }
}

/// Within fish's single quotes the backslash speaks too, before itself and before a quote.
fn fish(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Nushell's double quotes take escapes and nothing else; its single quotes cannot hold a single quote.
fn nu(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c.is_control() => out += &format!("\\u{{{:x}}}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// PowerShell doubles a quote; it counts the curly ones as quotes as well.
fn powershell(value: &str) -> String {
    let mut out = String::from("'");
    for c in value.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out + "'"
}

/// For `.env` files: bare where every reader agrees, single-quoted where it must be quoted and can be, else with
/// the escapes of double quotes.
pub fn dotenv(name: &str, value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+,".contains(c);
    if value.chars().all(bare) {
        format!("{name}={value}\n")
    } else if !value.contains(['\'', '\n', '\r', '\\']) {
        format!("{name}='{value}'\n")
    } else {
        let escaped = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('$', "\\$")
            .replace('`', "\\`")
            .replace('\n', "\\n")
            .replace('\r', "\\r");
        format!("{name}=\"{escaped}\"\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    const NASTY: &[&str] = &[
        "",
        " ",
        "plain",
        "it's",
        "''",
        "\\",
        "\\'",
        "ends with \\",
        "a\nb",
        "\n\n",
        "$HOME `id` $(id) ${x}",
        "\"double\" 'single'",
        "tab\there",
        "ünï ☃ 𝔘",
        "!history #comment ;& | > <",
        "*?[a-z]~",
        "-n",
        "%PATH% ^",
        "\u{2018}curly\u{2019}",
        "\u{1b}[31m",
    ];

    /// Runs the statements and has the shell write the values, each ended by a zero byte, through `env -0`.
    fn through(shell: Shell, program: &str, before: &str) {
        if Command::new(program).arg("--version").output().is_err() {
            // Said in the test's output; `tests/setup` installs it where the tests must not skip.
            println!("skipped: {program} is not installed");
            return;
        }
        let mut script = before.to_owned();
        for (number, value) in NASTY.iter().enumerate() {
            shell.export(&mut script, &format!("NASTY_{number}"), value);
        }
        script += "env -0\n";
        let path = std::env::var_os("PATH").unwrap();
        let output = Command::new(program).args(["-c", &script]).env_clear().env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        for (number, value) in NASTY.iter().enumerate() {
            let found = text.split('\0').find_map(|one| one.strip_prefix(&format!("NASTY_{number}=")));
            assert_eq!(found, Some(*value), "{program} NASTY_{number}");
        }
    }

    #[test]
    fn sh_reads_back_what_was_meant() {
        through(Shell::Bash, "sh", "");
    }

    #[test]
    fn bash_reads_back_what_was_meant() {
        through(Shell::Bash, "bash", "");
    }

    #[test]
    fn zsh_reads_back_what_was_meant() {
        through(Shell::Zsh, "zsh", "");
    }

    #[test]
    fn fish_reads_back_what_was_meant() {
        through(Shell::Fish, "fish", "");
    }

    #[test]
    fn nu_reads_back_what_was_meant() {
        through(Shell::Nu, "nu", "");
    }

    #[test]
    fn powershell_reads_back_what_was_meant() {
        through(Shell::Powershell, "pwsh", "");
    }

    #[test]
    fn the_shells_that_are_rarely_installed_by_their_own_rules() {
        let export = |shell: Shell, value: &str| shell.exports([(&"A".to_owned(), &value.to_owned())]);
        assert_eq!(export(Shell::Nu, "a'b\"c\\\n$x\u{1b}"), "$env.A = \"a'b\\\"c\\\\\\n$x\\u{1b}\"\n");
        assert_eq!(export(Shell::Powershell, "it's \u{2019}$x`"), "$env:A = 'it''s \u{2019}\u{2019}$x`'\n");
    }

    #[test]
    fn dotenv_quotes_only_where_it_must() {
        assert_eq!(dotenv("A", "http://127.0.0.1:80/x"), "A=http://127.0.0.1:80/x\n");
        assert_eq!(dotenv("A", "two words $x"), "A='two words $x'\n");
        assert_eq!(dotenv("A", "it's\n$x"), "A=\"it's\\n\\$x\"\n");
    }
}
