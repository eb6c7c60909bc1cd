use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nixbox_config::{Loaded, Origin};
use nixbox_report::{Failure, Report, codes};

use super::DONE;
use crate::context::{Context, here, io_failure};
use crate::render::{Target, process_compose, procfile, systemd};

/// Write what is declared for another process manager, or as one complete document
///
/// That is each instance, each remote that is served from here, each job, and what is run at certain times. Commands name
/// this program and the configuration by absolute path, so what is written works from any folder. What the process manager
/// has no words for is refused. With `toml` and `json` no setting is left to defaults.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper render --to process-compose > process-compose.yaml\n  nixbox-helper render --to procfile > Procfile\n  nixbox-helper render --to systemd --output ~/.config/systemd/user\n  nixbox-helper --config nixbox.json render --to toml      # from what Nix made"
)]
pub struct Args {
    #[arg(long, value_enum)]
    pub to: To,
    /// Write files into this folder instead of printing
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// The nixbox-helper to be called [default: this one]
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    Toml,
    Json,
    ProcessCompose,
    /// For honcho, foreman, overmind, hivemind; these know no order between jobs
    Procfile,
    /// Services for the user's own manager, and timers
    Systemd,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let loaded = context.load()?;
    let files = files(&args, &loaded, context)?;
    if matches!(args.to, To::Procfile | To::Systemd) {
        for job in loaded.project.jobs.values().filter(|job| job.enable && job.health.is_some()) {
            context.output.warn(format!(
                "the health of the job {} is not examined there; it is ready when it has started",
                job.name
            ));
        }
    }
    match args.output {
        Some(folder) => write(&folder, &files, context)?,
        None => context.output.data(joined(&files))?,
    }
    Ok(DONE)
}

fn files(args: &Args, loaded: &Loaded, context: &Context) -> Result<Vec<(String, String)>, Report> {
    let project = &loaded.project;
    let one = |name: &str, text: String| Ok(vec![(name.to_owned(), text)]);
    let target = || -> Result<Target<'_>, Report> {
        let program = match &args.program {
            Some(program) if program.components().count() > 1 => here()?.join(program),
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let mut options = context.forwarded(project)?;
        options.extend(borrowed(loaded));
        let options = options.into_iter().map(utf8).collect::<Result<_, _>>()?;
        Ok(Target { project, program, options })
    };
    match args.to {
        To::Toml => one("nixbox.toml", nixbox_config::to_toml(project)?),
        To::Json => one("nixbox.json", nixbox_config::to_json(project)?),
        To::ProcessCompose => one("process-compose.yaml", process_compose::render(&target()?)?),
        To::Procfile => one("Procfile", procfile::render(&target()?)?),
        To::Systemd => systemd::render(&target()?),
    }
}

/// What this shell's environment decided, as options: another process manager has another environment.
fn borrowed(Loaded { project, origins }: &Loaded) -> Vec<OsString> {
    let from_environment = |origin: Origin| matches!(origin, Origin::Environment(_));
    let mut words: Vec<OsString> = Vec::new();
    if from_environment(origins.root) {
        words.extend(["--root".into(), project.root.clone().into()]);
    }
    if origins.get("data_dir").is_some_and(|setting| from_environment(setting.origin)) {
        words.extend(["--data-dir".into(), project.data_dir.clone().into()]);
    }
    if origins.get("log_level").is_some_and(|setting| from_environment(setting.origin)) {
        words.extend(["--log-level".into(), project.log_level.to_string().into()]);
    }
    words
}

fn utf8(word: OsString) -> Result<String, Report> {
    word.into_string().map_err(|word| {
        Failure::new(&codes::USAGE, format!("the path {} is not UTF-8", word.display()))
            .why("no process manager's file can hold it")
            .into()
    })
}

/// Several files in one stream, each under its name.
fn joined(files: &[(String, String)]) -> String {
    match files {
        [(_, text)] => text.clone(),
        several => several.iter().map(|(name, text)| format!("# file: {name}\n{text}")).collect::<Vec<_>>().join("\n"),
    }
}

fn write(folder: &Path, files: &[(String, String)], context: &Context) -> Result<(), Report> {
    std::fs::create_dir_all(folder).map_err(|error| io_failure("create", folder, error))?;
    for (name, text) in files {
        let path = folder.join(name);
        nixbox_state::write_atomic(&path, text.as_bytes(), 0o644).map_err(|error| io_failure("write", &path, error))?;
        context.output.note(format!("wrote {}", path.display()));
    }
    Ok(())
}
