//! Looking into an instance's files and changing them, without the mount.

mod answer;
pub mod apply;
mod show;
mod tree;

use std::ffi::OsString;

use clap::ValueEnum;
use nixbox_control::{FileEntry, FileKind, FilesRequest, Name, Request};
use nixbox_report::Report;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::Output;
use crate::times::{self, Moment};

pub use answer::{Entry, Listed, Paths, Transferred, Written, kind};
pub use show::visible;

/// Read and write an instance's files, mounted or not
///
/// Paths are those of the instance, from its root, with or without the leading slash. What is changed is seen in the
/// mount at once. Each of these is put on record: see `timeline`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper fs ls\n  tar c src | nixbox-helper fs write src.tar\n  nixbox-helper fs cat /notes.md | less"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// List a folder: a table on a terminal, one name a line elsewhere
    #[command(
        after_help = "Examples:\n  nixbox-helper fs ls\n  nixbox-helper fs ls -R /src | grep test\n  nixbox-helper fs ls --json | jq '.entries[].size'\n  nixbox-helper fs ls -R --layer delta"
    )]
    Ls {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: Of,
        #[arg(default_value = "/")]
        path: OsString,
        /// With all that lies below
        #[arg(short = 'R', long)]
        recursive: bool,
        /// A table, wherever it goes
        #[arg(short, long)]
        long: bool,
    },
    /// Print files
    #[command(after_help = "Examples:\n  nixbox-helper fs cat /notes.md\n  nixbox-helper fs cat disk.img > disk.img")]
    Cat {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: Of,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Write standard input to a file
    ///
    /// Nothing of it is seen before all has come, so a pipe that breaks leaves the file as it was. An existing file
    /// keeps its mode and owner.
    #[command(
        after_help = "Examples:\n  echo hello | nixbox-helper fs write /greeting\n  date | nixbox-helper fs write -a /log"
    )]
    Write {
        #[command(flatten)]
        which: Which,
        path: OsString,
        /// Write to its end, as it comes
        #[arg(short, long)]
        append: bool,
    },
    /// Make many changes as one: all of them or none
    ///
    /// Standard input has an operation a line, in JSON. Nobody sees a part of them, and where one is not possible, or the
    /// owner is killed in the middle, nothing is changed; the message says which line it was. The operations are write,
    /// append, truncate, mkdir, rm, mv, cp, chmod, chown, symlink and link: `nixbox-helper schema fs apply --input` says
    /// what each takes. At most 100,000 of them and 64 MiB at once.
    #[command(
        after_help = "Examples:\n  nixbox-helper fs apply < changes.ndjson\n  nixbox-helper fs apply --dry-run --json < changes.ndjson\n  echo '{\"op\":\"write\",\"path\":\"/a/b.txt\",\"text\":\"hello\\n\",\"parents\":true}' | nixbox-helper fs apply"
    )]
    Apply {
        #[command(flatten)]
        which: Which,
        /// Only see whether all of it can be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy a file, or a folder with -r
    #[command(after_help = "Examples:\n  nixbox-helper fs cp /a.txt /b.txt\n  nixbox-helper fs cp -r /src /backup")]
    Cp {
        #[command(flatten)]
        which: Which,
        from: OsString,
        /// Into it, where it is a folder
        to: OsString,
        /// Folders too, with all in them; links stay links
        #[arg(short, long)]
        recursive: bool,
    },
    /// Move or rename
    #[command(
        after_help = "Examples:\n  nixbox-helper fs mv /draft.md /final.md\n  nixbox-helper fs mv /final.md /docs"
    )]
    Mv {
        #[command(flatten)]
        which: Which,
        from: OsString,
        /// Into it, where it is a folder
        to: OsString,
    },
    /// Remove files, or folders with -r
    #[command(after_help = "Examples:\n  nixbox-helper fs rm /old.txt\n  nixbox-helper fs rm -r /build /dist")]
    Rm {
        #[command(flatten)]
        which: Which,
        #[arg(required = true)]
        paths: Vec<OsString>,
        /// Folders too, with all in them
        #[arg(short, long)]
        recursive: bool,
    },
    /// Make folders
    #[command(after_help = "Examples:\n  nixbox-helper fs mkdir /docs\n  nixbox-helper fs mkdir -p /a/b/c")]
    Mkdir {
        #[command(flatten)]
        which: Which,
        #[arg(required = true)]
        paths: Vec<OsString>,
        /// With those above; no failure where it is there
        #[arg(short, long)]
        parents: bool,
    },
    /// Show what is known of a file; links are not followed
    #[command(
        after_help = "Examples:\n  nixbox-helper fs stat /notes.md\n  nixbox-helper fs stat /notes.md --json | jq .size"
    )]
    Stat {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: Of,
        path: OsString,
    },
    /// Find files by pattern
    ///
    /// A pattern without a slash is for names; one with a slash is for paths, below where the search begins.
    #[command(
        after_help = "Examples:\n  nixbox-helper fs find '*.rs'\n  nixbox-helper fs find 'src/**/*.{c,h}' --newer 2h\n  nixbox-helper fs find '*' /var --type file --min-size 10M"
    )]
    Find {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: Of,
        glob: String,
        /// Where to begin
        #[arg(default_value = "/")]
        path: OsString,
        #[arg(long = "type", value_enum)]
        kind: Option<Type>,
        /// Files of that size at least: 4096, 64k, 10M, 1G
        #[arg(long, value_name = "SIZE", value_parser = size)]
        min_size: Option<u64>,
        /// Changed since: 2026-11-21T06:45:00Z, or 10m, 2h, 3d ago
        #[arg(long, value_name = "TIME", value_parser = times::parse)]
        newer: Option<Moment>,
    },
    /// Draw a folder and all below it
    #[command(after_help = "Examples:\n  nixbox-helper fs tree\n  nixbox-helper fs tree /src")]
    Tree {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: Of,
        #[arg(default_value = "/")]
        path: OsString,
    },
}

/// What is looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct Of {
    /// Of an instance with a base only what its database has (delta), or only what the base has
    #[arg(long, value_enum)]
    layer: Option<Layer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layer {
    Delta,
    Base,
}

impl Of {
    fn layer(&self) -> Option<nixbox_control::Layer> {
        self.layer.map(|layer| match layer {
            Layer::Delta => nixbox_control::Layer::Delta,
            Layer::Base => nixbox_control::Layer::Base,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Type {
    File,
    Folder,
    Link,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    match args.what {
        What::Ls { which, of, path, recursive, long } => {
            let asked = Asked::new(&which, context)?;
            show::listing(
                &asked,
                FilesRequest::List { path: path.into(), recursive, layer: of.layer() },
                None,
                long,
                output,
            )?;
        }
        What::Find { which, of, glob, path, kind, min_size, newer } => {
            let kind = kind.map(|kind| match kind {
                Type::File => FileKind::File,
                Type::Folder => FileKind::Folder,
                Type::Link => FileKind::Link,
            });
            let newer = newer.map(|moment| moment.0);
            let request =
                FilesRequest::Find { path: path.clone().into(), glob, kind, min_size, newer, layer: of.layer() };
            show::listing(&Asked::new(&which, context)?, request, Some(&path), false, output)?;
        }
        What::Stat { which, of, path } => {
            let request = Request::Files(FilesRequest::Stat { path: path.into(), layer: of.layer() });
            Asked::new(&which, context)?.ask(&request)?.lines(|entry: FileEntry| show::one(entry, output))?;
        }
        What::Tree { which, of, path } => {
            let request = FilesRequest::List { path: path.clone().into(), recursive: true, layer: of.layer() };
            let entries = show::entries(&Asked::new(&which, context)?, request)?;
            match output.json {
                true => output.json(Listed { entries: entries.into_iter().map(Entry::new).collect() })?,
                false => output.data(tree::drawn(&path, &entries))?,
            }
        }
        What::Cat { which, of, paths } => {
            let asked = Asked::new(&which, context)?;
            for path in paths {
                let request = Request::Files(FilesRequest::Read { path: path.into(), layer: of.layer() });
                asked.ask(&request)?.body(|piece| output.open_data(piece))?;
            }
        }
        What::Write { which, path, append } => write(&which, path, append, context)?,
        What::Apply { which, dry_run } => apply::run(&which, dry_run, context)?,
        What::Cp { which, from, to, recursive } => {
            let request = FilesRequest::Copy { from: Name(from.clone()), to: Name(to.clone()), recursive };
            Asked::new(&which, context)?.tell(&Request::Files(request))?;
            transferred(&from, &to, output)?;
        }
        What::Mv { which, from, to } => {
            let request = FilesRequest::Move { from: Name(from.clone()), to: Name(to.clone()) };
            Asked::new(&which, context)?.tell(&Request::Files(request))?;
            transferred(&from, &to, output)?;
        }
        What::Rm { which, paths, recursive } => {
            each(&which, paths, context, |path| FilesRequest::Remove { path, recursive })?;
        }
        What::Mkdir { which, paths, parents } => {
            each(&which, paths, context, |path| FilesRequest::MakeFolder { path, parents })?;
        }
    }
    Ok(DONE)
}

fn write(which: &Which, path: OsString, append: bool, context: &Context) -> Result<(), Report> {
    let request = Request::Files(FilesRequest::Write { path: Name(path.clone()), append });
    let mut talk = Asked::new(which, context)?.ask(&request)?;
    let bytes = talk.send(&mut std::io::stdin().lock(), "standard input")?;
    talk.finish()?;
    match context.output.json {
        true => context.output.json(Written { path: answer::text(&path), bytes }),
        false => Ok(()),
    }
}

fn each(
    which: &Which,
    paths: Vec<OsString>,
    context: &Context,
    request: impl Fn(Name) -> FilesRequest,
) -> Result<(), Report> {
    let asked = Asked::new(which, context)?;
    for path in &paths {
        asked.tell(&Request::Files(request(Name(path.clone()))))?;
    }
    match context.output.json {
        true => context.output.json(Paths { paths: paths.iter().map(|path| answer::text(path)).collect() }),
        false => Ok(()),
    }
}

fn transferred(from: &OsString, to: &OsString, output: &Output) -> Result<(), Report> {
    match output.json {
        true => output.json(Transferred { from: answer::text(from), to: answer::text(to) }),
        false => Ok(()),
    }
}

/// `4096`, `64k`, `10M`, `1G`
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']) {
        number if number.len() == text.len() => (number, 1u64),
        number => match text[number.len()..].to_ascii_lowercase().as_str() {
            "k" => (number, 1 << 10),
            "m" => (number, 1 << 20),
            "g" => (number, 1 << 30),
            _ => ("", 0),
        },
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(|| "give a size like 4096, 64k, 10M or 1G".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let read: Vec<_> = ["0", "4096", "64k", "10M", "1G"].map(size).into_iter().flatten().collect();
        assert_eq!(read, [0, 4096, 65_536, 10_485_760, 1 << 30]);
        for wrong in ["", "k", "1kk", "-1", "1.5M", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
