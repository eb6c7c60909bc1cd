//! What an instance comes to against its base: which instance and which paths are meant, and how changes read.

pub mod answer;
pub mod groups;
pub mod paths;
pub mod shown;

use std::ffi::OsString;

use nixbox_control::Name;
use nixbox_report::Report;

use crate::asking::{Asked, Which};
use crate::context::Context;

/// What is to be looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct About {
    #[command(flatten)]
    pub which: Which,
    /// Files, folders and patterns to look at; a first one that is the name of an instance says which instance
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
}

impl About {
    pub fn resolve(&self, context: &Context) -> Result<(Asked, Vec<Name>), Report> {
        let mut which = self.which.clone();
        let mut paths = self.paths.as_slice();
        if let (None, Some((first, rest))) = (&which.instance, paths.split_first())
            && let Some(name) = first.to_str()
            && context.project()?.instances.contains_key(name)
        {
            which.instance = Some(name.to_owned());
            paths = rest;
        }
        let asked = Asked::new(&which, context)?;
        let places = paths::Places::of(asked.instance())?;
        let paths = paths.iter().map(|path| places.inside(path)).collect();
        Ok((asked, paths))
    }
}
