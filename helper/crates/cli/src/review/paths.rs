//! From what a person types to paths of the instance: a file may be named as it is in the mount, in the real project,
//! or from the instance's root.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nixbox_config::Instance;
use nixbox_control::Name;
use nixbox_report::Report;

use crate::context;

/// Where the instance can be seen, the mount first: it may lie in the base.
pub struct Places {
    roots: Vec<PathBuf>,
    here: PathBuf,
}

impl Places {
    pub fn of(instance: &Instance) -> Result<Self, Report> {
        let mut roots = Vec::new();
        let mount = instance.mount.as_ref().map(|mount| mount.path.clone());
        let base = instance.base.as_ref().map(|base| base.path.clone());
        for root in [mount, base].into_iter().flatten() {
            // A mount is not touched itself: it may be dead.
            let real = root
                .parent()
                .zip(root.file_name())
                .and_then(|(parent, name)| parent.canonicalize().ok().map(|parent| parent.join(name)));
            roots.extend(real.filter(|real| *real != root));
            roots.push(root);
        }
        Ok(Self { roots, here: context::here()? })
    }

    pub fn inside(&self, path: &OsStr) -> Name {
        let is_name = !path.as_bytes().contains(&b'/');
        let is_pattern = path.as_bytes().iter().any(|byte| b"*?[{".contains(byte));
        if is_name && is_pattern {
            // For names, anywhere below where we are.
            return match self.within(&self.here).filter(|here| !here.as_os_str().is_empty()) {
                Some(here) => Path::new("/").join(here).join("**").join(path).into_os_string().into(),
                None => path.into(),
            };
        }
        match self.within(&plain(&self.here.join(path))) {
            Some(inside) => Path::new("/").join(inside).into_os_string().into(),
            None => Path::new("/").join(path).into_os_string().into(),
        }
    }

    fn within(&self, path: &Path) -> Option<PathBuf> {
        self.roots.iter().find_map(|root| path.strip_prefix(root).ok()).map(Path::to_owned)
    }
}

/// Without dots, by its words alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(here: &str, path: &str) -> String {
        let places = Places { roots: vec!["/p/.agentfs/mnt".into(), "/p".into()], here: here.into() };
        places.inside(path.as_ref()).0.to_string_lossy().into_owned()
    }

    #[test]
    fn a_file_has_three_names() {
        for (here, path) in [
            ("/p", "src/a"),
            ("/p/src", "a"),
            ("/p/src", "./x/../a"),
            ("/p", ".agentfs/mnt/src/a"),
            ("/p/.agentfs/mnt/src", "a"),
            ("/", "/p/src/a"),
            ("/elsewhere", "src/a"),
            ("/elsewhere", "/src/a"),
        ] {
            assert_eq!(inside(here, path), "/src/a", "{path} in {here}");
        }
        assert_eq!(inside("/p", "."), "/");
        assert_eq!(inside("/p", "*.rs"), "*.rs");
        assert_eq!(inside("/p/src", "*.rs"), "/src/**/*.rs");
        assert_eq!(inside("/p/src", "a/*.rs"), "/src/a/*.rs");
    }
}
