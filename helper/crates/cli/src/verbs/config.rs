use nixbox_config::Loaded;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::output::{Cell, Tone};

/// Check the configuration, show what it comes to, print its JSON Schema
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper config check\n  nixbox-helper config show --origin\n  nixbox-helper config schema > nixbox.schema.json"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Report every problem at once, each with file, line and key
    #[command(
        after_help = "Examples:\n  nixbox-helper config check && git commit\n  nixbox-helper config check --json 2>&1 | jq .errors"
    )]
    Check,
    /// Show every setting as it finally is
    #[command(after_help = "Examples:\n  nixbox-helper config show\n  nixbox-helper config show --origin")]
    Show {
        /// With where each comes from: flag, environment, file or default
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of nixbox.toml
    #[command(after_help = "Examples:\n  nixbox-helper config schema > nixbox.schema.json")]
    Schema,
}

#[derive(Serialize, JsonSchema)]
pub struct Checked {
    pub file: String,
    pub instances: usize,
    pub enabled: usize,
    /// What is allowed and should not come as a surprise
    pub warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Shown {
    pub file: String,
    pub root: String,
    /// In the order of the document
    pub settings: Vec<Setting>,
}

#[derive(Serialize, JsonSchema)]
pub struct Setting {
    /// `instances.sandbox.mount.path`
    pub key: String,
    /// Null where nothing is set and nothing is assumed
    pub value: Option<String>,
    pub origin: String,
}

impl Setting {
    pub fn of(setting: &nixbox_config::Setting) -> Self {
        Self { key: setting.key.clone(), value: setting.value.clone(), origin: setting.origin.to_string() }
    }
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    match args.what {
        What::Check => check(&context.load()?, context)?,
        What::Show { origin } => show(&context.load()?, origin, context)?,
        What::Schema => {
            context
                .output
                .data(serde_json::to_string_pretty(&nixbox_config::schema()).map_err(std::io::Error::other)? + "\n")?;
        }
    }
    Ok(DONE)
}

fn check(loaded: &Loaded, context: &Context) -> Result<(), Report> {
    crate::schedule::check(loaded)?;
    let project = &loaded.project;
    let (instances, enabled) = (project.instances.len(), project.enabled().count());
    let file = project.file.display().to_string();
    if context.output.json {
        return context.output.json(Checked { file, instances, enabled, warnings: project.warnings() });
    }
    for warning in project.warnings() {
        context.output.warn(warning);
    }
    context.output.note(format!(
        "{file}: {}, {instances} declared, {enabled} enabled",
        context.output.paint_note(Tone::Good, "good")
    ));
    Ok(())
}

fn show(loaded: &Loaded, origin: bool, context: &Context) -> Result<(), Report> {
    let Loaded { project, origins } = loaded;
    if context.output.json {
        return context.output.json(Shown {
            file: project.file.display().to_string(),
            root: project.root.display().to_string(),
            settings: origins.settings.iter().map(Setting::of).collect(),
        });
    }
    if !origin {
        return context.output.data(nixbox_config::to_toml(project)?);
    }
    let row = |key: &str, value: Option<&str>, origin: String| {
        vec![Cell::from(key), Cell::from(value.unwrap_or("-")), Cell::new(origin, Tone::Dim)]
    };
    let (file, root) = (project.file.to_string_lossy(), project.root.to_string_lossy());
    let mut rows = vec![
        row("(file)", Some(&file), origins.file.to_string()),
        row("(root)", Some(&root), origins.root.to_string()),
    ];
    rows.extend(origins.settings.iter().map(|one| row(&one.key, one.value.as_deref(), one.origin.to_string())));
    context.output.table(&["KEY", "VALUE", "ORIGIN"], rows)
}
