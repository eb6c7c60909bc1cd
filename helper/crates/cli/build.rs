//! Puts every folder of templates/ into the program, so that a new template is a new folder and nothing else.
#![allow(clippy::print_stdout)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What working in a template leaves behind.
const LEFTOVERS: &[&str] = &[".agentfs", ".devenv", ".direnv", ".git", ".devenv.flake.nix"];

fn main() -> io::Result<()> {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../templates");
    println!("cargo::rerun-if-changed={}", templates.display());
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let mut table = fs::File::create(Path::new(&out).join("templates.rs"))?;
    writeln!(table, "&[")?;
    for folder in sorted(&templates)?.into_iter().filter(|path| path.is_dir()) {
        let folder = folder.canonicalize()?;
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        if files.is_empty() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(table, "    Template {{ name: {:?}, files: &[", name(&folder))?;
        for file in files {
            let inside = file.strip_prefix(&folder).map_err(io::Error::other)?;
            writeln!(table, "        ({inside:?}, include_str!({file:?})),")?;
        }
        writeln!(table, "    ] }},")?;
    }
    writeln!(table, "]")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in sorted(folder)? {
        if LEFTOVERS.contains(&name(&path).as_str()) {
            continue;
        }
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
