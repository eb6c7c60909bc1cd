use clap::ValueEnum;
use clap_complete::{Shell, generate};
use clap_complete_nushell::Nushell;
use nixbox_report::Report;

use super::DONE;
use crate::cli;
use crate::context::Context;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper completions bash > ~/.local/share/bash-completion/completions/nixbox-helper\n  nixbox-helper completions zsh > ~/.zfunc/_nixbox-helper\n  nixbox-helper completions fish > ~/.config/fish/completions/nixbox-helper.fish\n  nixbox-helper completions nu > ~/.config/nushell/nixbox-helper.nu     # then `use nixbox-helper.nu *`"
)]
pub struct Args {
    #[arg(value_enum)]
    pub shell: For,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum For {
    Bash,
    Zsh,
    Fish,
    Nu,
    Powershell,
    Elvish,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let mut text = Vec::new();
    let mut command = cli::command();
    let name = command.get_name().to_owned();
    match args.shell {
        For::Bash => generate(Shell::Bash, &mut command, name, &mut text),
        For::Zsh => generate(Shell::Zsh, &mut command, name, &mut text),
        For::Fish => generate(Shell::Fish, &mut command, name, &mut text),
        For::Powershell => generate(Shell::PowerShell, &mut command, name, &mut text),
        For::Elvish => generate(Shell::Elvish, &mut command, name, &mut text),
        For::Nu => generate(Nushell, &mut command, name, &mut text),
    }
    context.output.data(text)?;
    Ok(DONE)
}
