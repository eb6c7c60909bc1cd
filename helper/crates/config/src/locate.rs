//! Which file, and which folder its relative paths start from.

use std::path::{Path, PathBuf};

use nixbox_report::{Failure, Report, codes};

use crate::origin::Origin;
use crate::paths::{RealPaths, absolute, in_store};
use crate::sources::Sources;

pub(crate) const FILE_NAME: &str = "nixbox.toml";
/// The folder with the data of a project, where nothing says another. In one that declares nothing its configuration
/// lies in there too: it is a file that a verb has made, and not one of the project's own.
pub const UNDECLARED: &str = ".agentfs";

#[derive(Debug)]
pub(crate) struct Located {
    pub file: PathBuf,
    pub file_origin: Origin,
    pub root: PathBuf,
    pub root_origin: Origin,
    /// The environment speaks of this configuration, not of another one whose shell this happens to be.
    pub environment_is_ours: bool,
    /// The same for the variables of devenv.
    pub devenv_is_ours: bool,
}

pub(crate) fn locate(sources: &Sources, real: &mut RealPaths) -> Result<Located, Report> {
    let named = sources.environment.get("NIXBOX_CONFIG").map(|path| absolute(&sources.cwd, Path::new(path)));
    let (file, file_origin) = if let Some(path) = &sources.config {
        (absolute(&sources.cwd, path), Origin::Flag)
    } else if let Some(path) = &named {
        (path.clone(), Origin::Environment("NIXBOX_CONFIG"))
    } else {
        (search(sources)?, Origin::Default)
    };
    // `env` exports NIXBOX_CONFIG together with the rest. A `--config` that names another project must not put its
    // databases where this shell's project has them. Two files in the store are two states of one: a shell that is
    // older than the last edit names the earlier.
    let environment_is_ours =
        named.is_none_or(|named| real.same(&named, &file) || (in_store(&named) && in_store(&file)));
    let (root, root_origin) = root(sources, &file, environment_is_ours);
    let devenv = sources.environment.get("DEVENV_ROOT");
    let devenv_is_ours = devenv.is_none_or(|path| real.same(&absolute(&sources.cwd, Path::new(path)), &root));
    Ok(Located { file, file_origin, root, root_origin, environment_is_ours, devenv_is_ours })
}

fn root(sources: &Sources, file: &Path, environment_is_ours: bool) -> (PathBuf, Origin) {
    let variable = |name: &'static str| {
        let path = sources.environment.get(name)?;
        Some((absolute(&sources.cwd, Path::new(path)), Origin::Environment(name)))
    };
    if let Some(path) = &sources.root {
        return (absolute(&sources.cwd, path), Origin::Flag);
    }
    if let Some(found) = variable("NIXBOX_ROOT").filter(|_| environment_is_ours) {
        return found;
    }
    // What Nix wrote lies in the store and says nothing of where the project is.
    if in_store(file) {
        return variable("DEVENV_ROOT").unwrap_or_else(|| (sources.cwd.clone(), Origin::Default));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    let above = folder.parent().filter(|_| folder.ends_with(UNDECLARED));
    (above.unwrap_or(folder).to_owned(), Origin::Default)
}

fn search(sources: &Sources) -> Result<PathBuf, Report> {
    let cwd = &sources.cwd;
    let folders = cwd.ancestors().flat_map(|folder| [folder.to_owned(), folder.join(UNDECLARED)]);
    // Data that was put elsewhere has its configuration with it.
    let data_dir = sources.data_dir.iter().map(|folder| absolute(cwd, folder));
    let found = folders.chain(data_dir).map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file());
    found.ok_or_else(|| {
        Failure::new(&codes::CONFIG_MISSING, format!("No {FILE_NAME} in {} or any folder above", cwd.display()))
            .help("make one with `nixbox-helper new plain`, or name one with --config")
            .into()
    })
}
