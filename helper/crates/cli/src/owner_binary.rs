//! Finding `nixbox-owner`, the other program of this package.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nixbox_report::{Failure, Report, codes};

const NAME: &str = "nixbox-owner";

/// Beside this program, by `NIXBOX_OWNER`, on PATH.
pub fn find() -> Result<PathBuf, Report> {
    let beside = env::current_exe().ok().and_then(|exe| exe.canonicalize().ok()).map(|exe| exe.with_file_name(NAME));
    search(beside.as_deref(), env::var_os("NIXBOX_OWNER").as_deref(), env::var_os("PATH").as_deref())
}

fn search(beside: Option<&Path>, named: Option<&OsStr>, path: Option<&OsStr>) -> Result<PathBuf, Report> {
    if let Some(program) = beside.filter(|program| is_program(program)) {
        return Ok(program.to_owned());
    }
    let missing = || {
        Failure::new(&codes::OWNER_MISSING, format!("the program `{NAME}` was not found"))
            .help(format!("put `{NAME}` beside nixbox-helper, or name it with NIXBOX_OWNER"))
    };
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let program = PathBuf::from(named);
        if is_program(&program) {
            return Ok(env::current_dir().map(|here| here.join(&program)).unwrap_or(program));
        }
        return Err(missing().why(format_args!("NIXBOX_OWNER is {}, which is no program", program.display())).into());
    }
    path.into_iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join(NAME))
        .find(|program| program.is_absolute() && is_program(program))
        .ok_or_else(|| {
            let place = beside.and_then(Path::parent).unwrap_or(Path::new("its own folder"));
            missing()
                .why(format_args!("it is not in {}, NIXBOX_OWNER is not set, PATH has none", place.display()))
                .into()
        })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    fn program(folder: &Path) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(NAME);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_nearest_wins() {
        let dir = tempfile::tempdir().unwrap();
        let [beside, named, on_path] = ["beside", "named", "path"].map(|name| program(&dir.path().join(name)));
        let path = env::join_paths([dir.path().join("empty"), dir.path().join("path")]).unwrap();
        let find = || search(Some(&beside), Some(named.as_os_str()), Some(&path)).unwrap();
        assert_eq!(find(), beside);
        fs::remove_file(&beside).unwrap();
        assert_eq!(find(), named);
        assert_eq!(search(Some(&beside), None, Some(&path)).unwrap(), on_path);
        assert_eq!(search(Some(&beside), Some(OsStr::new("")), Some(&path)).unwrap(), on_path);
    }

    #[test]
    fn a_wrong_name_is_not_passed_over_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path());
        let path = env::join_paths([dir.path()]).unwrap();
        let report = search(None, Some(OsStr::new("/nonexistent/owner")), Some(&path)).unwrap_err();
        assert_eq!(report.failures[0].code, &codes::OWNER_MISSING);
        assert!(report.failures[0].why.as_ref().unwrap().contains("/nonexistent/owner"));
        assert_eq!(search(None, None, None).unwrap_err().exit(), 8);
    }
}
