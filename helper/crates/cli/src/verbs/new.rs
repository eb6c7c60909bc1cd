use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::{Context, io_failure};
use crate::templates::{TEMPLATES, Template};

/// Start a project from a template
///
/// Never overwrites: if one of its files exists, nothing is written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Templates:\n  plain            nixbox.toml and a direnv .envrc, no Nix needed\n  devenv           devenv.nix, devenv.yaml and .envrc\n  flake            devenv in a flake\n  process-compose  a flake with process-compose-flake\n\nExamples:\n  nixbox-helper new plain\n  nixbox-helper new devenv ~/src/project"
)]
pub struct Args {
    /// plain, devenv, flake or process-compose
    pub template: String,
    /// Where to; made if missing
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub template: String,
    pub files: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let template = find(&args.template)?;
    let targets: Vec<(PathBuf, &str)> =
        template.files.iter().map(|(path, text)| (args.dir.join(path), *text)).collect();
    let occupied: Vec<Failure> = targets
        .iter()
        .filter(|(path, _)| path.symlink_metadata().is_ok())
        .map(|(path, _)| {
            Failure::new(&codes::TEMPLATE_OCCUPIED, format!("{} exists", path.display()))
                .why("the template has a file of that name; nothing was written")
                .help("choose an empty folder, or move that file away")
        })
        .collect();
    if !occupied.is_empty() {
        return Err(occupied.into());
    }
    for (path, text) in &targets {
        write(path, text)?;
    }
    let files: Vec<String> = targets.iter().map(|(path, _)| path.display().to_string()).collect();
    for file in &files {
        context.output.note(format!("wrote {file}"));
    }
    context.output.note(format!("next: {}", template.next()));
    if context.output.json {
        context.output.json(Answer { template: template.name.to_owned(), files })?;
    }
    Ok(DONE)
}

fn find(name: &str) -> Result<&'static Template, Report> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let known: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
        Failure::new(&codes::TEMPLATE_UNKNOWN, format!("no template is called `{name}`"))
            .help(format!("choose one of {}", known.join(", ")))
            .into()
    })
}

/// `create_new`: what appeared since we looked is not overwritten either.
fn write(path: &Path, text: &str) -> Result<(), Report> {
    let written = (|| {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    })();
    written.map_err(|error| io_failure("write", path, error))
}
