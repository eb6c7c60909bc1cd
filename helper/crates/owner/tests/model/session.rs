//! One instance and one folder of the machine, through many sequences: each has a folder of its own in both.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::call::{Below, Call, UNDER, UNDER_FOLDER};
use super::common::{Owner, Patience, Test};
use super::seen::{Tree, difference, kept_numbers, tree};
use super::side::{Side, sync_folder};

pub struct Session {
    test: Test,
    owner: Option<Owner>,
    machine: TempDir,
    lies: Lies,
    number: usize,
}

/// Where what is seen in the mount lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    InTheDatabase,
    OverABase,
    /// In the base itself.
    Directly,
}

/// A sequence under way.
struct Run<'a> {
    session: &'a mut Session,
    name: String,
    mount: Side,
    machine: Side,
    touched: [bool; UNDER.len()],
    /// Another file in the base's place would keep the mode here, and have its own there.
    chmodded: [bool; UNDER.len()],
    /// The machine's tree and the mount's.
    before: Option<(Tree, Tree)>,
}

impl Session {
    pub fn new(lies: Lies) -> Self {
        let test = Test::with(match lies {
            Lies::InTheDatabase => "mount.path = \"mnt\"",
            Lies::OverABase => "mount.path = \"mnt\"\nbase = \"base\"",
            Lies::Directly => "mount.path = \"mnt\"\nbase = \"base\"\nmode = \"direct\"",
        });
        fs::create_dir(test.path("base")).unwrap();
        // Where it is there, a file system in memory: it is quick, and uses no inode number twice.
        let shm = Path::new("/dev/shm");
        let machine = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let owner = Some(test.ready());
        Self { test, owner, machine, lies, number: 0 }
    }

    fn restart(&mut self, in_order: bool) {
        let owner = self.owner.take().unwrap();
        if in_order {
            owner.stop();
        } else {
            sync_folder(&self.test.mnt());
            owner.murder();
        }
        self.owner = Some(self.test.ready());
    }

    pub fn run(&mut self, before: &[Call], calls: &[Call]) -> Result<(), String> {
        self.number += 1;
        let name = format!("s{}", self.number);
        let below = self.test.path("base").join(&name);
        let machine = self.machine.path().join(&name);
        if self.lies == Lies::OverABase {
            fs::create_dir_all(below.join(UNDER_FOLDER)).unwrap();
            let mut making = Side::at(below.clone());
            before.iter().for_each(|call| drop(making.call(call)));
            drop(making);
            // Without `--preserve=links`: names of one file of the base are files of their own in the view.
            let copied =
                Command::new("cp").args(["-r", "--preserve=mode,timestamps"]).args([&below, &machine]).status();
            assert!(copied.unwrap().success());
        } else {
            fs::create_dir(&machine).unwrap();
            fs::create_dir(self.test.mnt().join(&name)).unwrap();
        }
        let base = base_tree(&below);
        let (mount, machine) = (Side::at(self.test.mnt().join(&name)), Side::at(machine));
        let mut run = Run {
            session: self,
            name,
            mount,
            machine,
            touched: Default::default(),
            chmodded: Default::default(),
            before: None,
        };
        run.compare_soon()?;
        for (number, call) in calls.iter().enumerate() {
            run.step(call).map_err(|error| format!("call {number}, {call:?}: {error}"))?;
        }
        for in_order in [true, false] {
            run.restart(in_order).map_err(|error| format!("after the end, in order: {in_order}: {error}"))?;
        }
        if run.session.lies == Lies::Directly {
            difference(&base_tree(&below), &tree(&run.mount.root)?, false)?;
            run.clear();
            return Ok(());
        }
        difference(&base, &base_tree(&below), true).map_err(|error| format!("the base was written to: {error}"))?;
        run.clear();
        Ok(())
    }
}

/// Without what is edited underneath on purpose.
fn base_tree(below: &Path) -> Tree {
    let mut seen = if below.exists() { tree(below).unwrap() } else { Tree::new() };
    seen.retain(|path, _| !path.starts_with(UNDER_FOLDER));
    seen
}

impl Run<'_> {
    fn step(&mut self, call: &Call) -> Result<(), String> {
        match call {
            Call::Restart | Call::Kill => return self.restart(matches!(call, Call::Restart)),
            Call::Below(below) => {
                self.edit_below(*below);
                return self.compare_soon();
            }
            Call::Touch(..) | Call::ChmodUnder(..) if !self.over_a_base() => return Ok(()),
            call => {
                let got = self.mount.call(call);
                let expected = self.machine.call(call);
                match call {
                    Call::Touch(one, _) => self.touched[*one] = true,
                    Call::ChmodUnder(one, _) => self.chmodded[*one] |= expected.is_ok(),
                    _ => {}
                }
                if got != expected {
                    return Err(format!("the answer is {}, expected was {}", short(&got), short(&expected)));
                }
            }
        }
        self.compare(true)
    }

    fn over_a_base(&self) -> bool {
        self.session.lies == Lies::OverABase
    }

    /// What the instance has made its own no longer follows the base.
    fn edit_below(&mut self, below: Below) {
        let taken = match below {
            Below::Write(one, ..) => self.touched[one],
            Below::Remove(one) => self.touched[one] || self.chmodded[one],
            Below::Rename(from, to) => [from, to].iter().any(|one| self.touched[*one] || self.chmodded[*one]),
        };
        if self.over_a_base() && !taken {
            Side::at(self.session.test.path("base").join(&self.name)).edit(below);
            self.machine.edit(below);
        }
    }

    fn restart(&mut self, in_order: bool) -> Result<(), String> {
        self.mount.close();
        self.machine.close();
        self.session.restart(in_order);
        self.compare(false)
    }

    /// News of the base takes a moment.
    fn compare_soon(&mut self) -> Result<(), String> {
        let mut patience = Patience::new();
        loop {
            match self.compare(true) {
                Err(_) if !patience.is_over() => sleep(Duration::from_millis(2)),
                done => return done,
            }
        }
    }

    fn compare(&mut self, same_session: bool) -> Result<(), String> {
        let now = (tree(&self.machine.root)?, tree(&self.mount.root)?);
        difference(&now.0, &now.1, self.session.lies == Lies::InTheDatabase)?;
        if let Some(before) = self.before.as_ref().filter(|_| same_session) {
            kept_numbers(before, &now)?;
        }
        self.before = Some(now);
        Ok(())
    }

    fn clear(self) {
        for root in [&self.mount.root, &self.machine.root] {
            fs::remove_dir_all(root).unwrap();
        }
        let below = self.session.test.path("base").join(&self.name);
        if below.exists() {
            fs::remove_dir_all(below).unwrap();
        }
    }
}

fn short(answer: &Result<Vec<u8>, i32>) -> String {
    match answer {
        Ok(data) if data.len() > 60 => format!("{} bytes", data.len()),
        Ok(data) => format!("{:?}", String::from_utf8_lossy(data)),
        Err(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}
