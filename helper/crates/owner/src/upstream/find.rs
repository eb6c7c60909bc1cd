use std::env;
use std::path::{Path, PathBuf};

use nixbox_report::{Failure, Report, codes};

const NAME: &str = "agentfs";

/// Where it was said to be, else on PATH.
pub(super) fn program(named: Option<&Path>) -> Result<PathBuf, Report> {
    if let Some(program) = named {
        return Ok(program.to_owned());
    }
    on_path(NAME).ok_or_else(|| {
        Failure::new(&codes::UPSTREAM_MISSING, format!("`{NAME}` was not found"))
            .why("the instance has `engine = \"agentfs\"`, and there is no such program on PATH")
            .help("name it with `agentfs_program` or NIXBOX_AGENTFS, or set `engine = \"builtin\"`")
            .into()
    })
}

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}
