use std::collections::BTreeMap;

use nixbox_config::Mode;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, ps};
use crate::context::Context;
use crate::output::Tone;
use crate::select;

/// Show what is declared, where it keeps what it keeps, and what is running
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nixbox-helper info\n  nixbox-helper info sandbox --json")]
pub struct Args {
    /// Only this instance
    pub name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// Of this program
    pub version: String,
    pub file: String,
    pub root: String,
    pub data_dir: String,
    pub runtime_dir: String,
    pub default_instance: Option<String>,
    pub instances: Vec<Details>,
}

#[derive(Serialize, JsonSchema)]
pub struct Details {
    #[serde(flatten)]
    pub status: ps::Row,
    pub enabled: bool,
    /// `overlay`, `direct` or `ephemeral`
    pub mode: String,
    pub database: String,
    /// Null where there is no database yet
    pub database_bytes: Option<u64>,
    pub socket: String,
    /// Where the output of a detached owner goes
    pub log: String,
    pub labels: BTreeMap<String, String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let names: Vec<String> = args.name.into_iter().collect();
    let instances = select::any_of(&project, &names)?;
    let text = |path: &std::path::Path| path.display().to_string();
    let details = ps::rows(&instances)?.into_iter().zip(&instances).map(|(status, instance)| Details {
        status,
        enabled: instance.enable,
        mode: instance.mode.to_string(),
        database: text(&instance.paths.db),
        database_bytes: instance.paths.db.metadata().ok().map(|meta| meta.len()),
        socket: text(&instance.paths.socket),
        log: text(&instance.paths.log),
        labels: instance.labels.clone(),
    });
    let answer = Answer {
        version: env!("CARGO_PKG_VERSION").into(),
        file: text(&project.file),
        root: text(&project.root),
        data_dir: text(&project.data_dir),
        runtime_dir: text(&project.runtime_dir),
        default_instance: project.default_instance.clone(),
        instances: details.collect(),
    };
    match context.output.json {
        true => context.output.json(answer)?,
        false => context.output.data(page(&answer, context))?,
    }
    Ok(DONE)
}

fn page(answer: &Answer, context: &Context) -> String {
    let mut page = String::new();
    let line = |page: &mut String, indent: &str, name: &str, value: &str| {
        *page += &format!("{indent}{} {value}\n", context.output.paint(Tone::Dim, &format!("{name:<12}")));
    };
    line(&mut page, "", "config", &answer.file);
    line(&mut page, "", "root", &answer.root);
    line(&mut page, "", "data", &answer.data_dir);
    line(&mut page, "", "runtime", &answer.runtime_dir);
    line(&mut page, "", "default", answer.default_instance.as_deref().unwrap_or("-"));
    for one in &answer.instances {
        let status = &one.status;
        page += &format!("\n{}\n", context.output.paint(Tone::Strong, &status.instance));
        let mut field = |name: &str, value: &str| line(&mut page, "  ", name, value);
        if !status.description.is_empty() {
            field("about", &status.description);
        }
        let word = serde_json::to_value(status.state).ok();
        field("state", word.as_ref().and_then(|word| word.as_str()).unwrap_or("-"));
        if one.mode != Mode::default().to_string() {
            field("mode", &one.mode);
        }
        let size = one.database_bytes.map_or("not created yet".into(), |bytes| format!("{} KiB", bytes.div_ceil(1024)));
        field("database", &format!("{} ({size})", one.database));
        field("mount", status.mount.as_deref().unwrap_or("-"));
        field("url", status.url.as_deref().unwrap_or("-"));
        if let Some(nfs) = &status.nfs {
            field("nfs", nfs);
        }
        for (name, value) in &one.labels {
            field("label", &format!("{name}={value}"));
        }
    }
    page
}
