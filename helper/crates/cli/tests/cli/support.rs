//! `Test::new().config("…").args([…]).stdout("…").success()`

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub use slow_machine::{HeldUp, PATIENCE, Patience};

#[path = "../../../engine/tests/support/slow_machine.rs"]
mod slow_machine;

/// A project in a temporary folder. What it started is stopped when it goes.
pub struct Test {
    dir: TempDir,
    env: Vec<(String, String)>,
}

pub struct Call<'t> {
    test: &'t Test,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    stdout: Option<String>,
    stdout_parts: Vec<String>,
    stderr: Vec<String>,
}

pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn helper() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nixbox-helper"))
}

/// The other program of this package, which a build of this crate alone does not make.
pub fn owner() -> PathBuf {
    let owner = helper().with_file_name("nixbox-owner");
    assert!(owner.is_file(), "{} is missing: build the whole workspace first (`cargo build`)", owner.display());
    owner
}

pub fn fuse() -> bool {
    let there = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    if !there {
        println!("skipped: /dev/fuse cannot be opened here");
    }
    there
}

impl Test {
    pub fn new() -> Self {
        let test = Self { dir: tempfile::Builder::new().prefix("nb-").tempdir().unwrap(), env: Vec::new() };
        // Templates and quickstart make their own folders below this one.
        std::fs::create_dir(test.path("tmp")).unwrap();
        test
    }

    /// The text of nixbox.toml below its first line; sockets go into the test's own folder.
    pub fn config(self, text: &str) -> Self {
        self.raw_config(&format!("version = 1\nruntime_dir = \"run\"\n{text}"))
    }

    pub fn raw_config(self, text: &str) -> Self {
        std::fs::write(self.path("nixbox.toml"), text).unwrap();
        self
    }

    /// An instance without a mount, which needs no FUSE.
    pub fn bare(names: &[&str]) -> Self {
        let tables: String =
            names.iter().map(|name| format!("[instances.{name}]\nmount.backend = \"none\"\n")).collect();
        owner();
        Self::new().config(&tables)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(inside)
    }

    pub fn args<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Call<'_> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Call {
            test: self,
            args,
            env: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            stdout_parts: Vec::new(),
            stderr: Vec::new(),
        }
    }

    /// Words separated by blanks.
    pub fn run(&self, line: &str) -> Call<'_> {
        self.args(line.split_whitespace())
    }

    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.root()).env("TMPDIR", self.path("tmp"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A process that the test itself looks after.
    pub fn spawn(&self, line: &str) -> Running {
        let mut command = self.command(helper());
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()) }
    }

    /// The same, its output to a file that can be read meanwhile.
    pub fn spawn_into(&self, line: &str, file: &Path) -> Running {
        let mut command = self.command(helper());
        command.args(line.split_whitespace()).stdout(std::fs::File::create(file).unwrap());
        Running { child: Some(command.spawn().unwrap()) }
    }

    /// The record that an owner publishes.
    pub fn record(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.path(&format!("run/{name}.json"))).ok()?).ok()
    }

    pub fn pid(&self, name: &str) -> i32 {
        self.record(name).unwrap_or_else(|| panic!("{name} has no record"))["pid"].as_i64().unwrap() as i32
    }

    /// What an owner leaves in the runtime folder when it is gone: nothing but its log.
    pub fn runtime_files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("run")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".log")).collect();
        names.sort();
        names
    }

    /// Readable without the folder's name.
    pub fn tidy(&self, text: &str) -> String {
        text.replace(&self.root().display().to_string(), "[DIR]").replace(&helper().display().to_string(), "[HELPER]")
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if ["run", ".agentfs"].iter().any(|dir| self.path(dir).is_dir()) {
            let _ = self.command(helper()).args(["down", "--timeout", "5"]).output();
        }
        // An owner that was started with other options than the file's is not found that way.
        for entry in std::fs::read_dir(self.path("run")).into_iter().flatten().flatten() {
            let record = std::fs::read(entry.path()).unwrap_or_default();
            let Ok(process) = serde_json::from_slice::<nixbox_state::Process>(&record) else { continue };
            if process.is_alive() {
                let _ =
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGTERM);
            }
        }
    }
}

impl Call<'_> {
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.env.push((name.into(), value.as_ref().into()));
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn stdout(mut self, expected: &str) -> Self {
        self.stdout = Some(expected.into());
        self
    }

    /// Part of what it prints.
    pub fn stdout_has(mut self, part: &str) -> Self {
        self.stdout_parts.push(part.into());
        self
    }

    pub fn stderr(mut self, part: &str) -> Self {
        self.stderr.push(part.into());
        self
    }

    pub fn success(self) -> Done {
        self.code(0)
    }

    /// For polling.
    pub fn try_code(self) -> Option<i32> {
        let mut command = self.test.command(helper());
        command.args(&self.args).output().unwrap().status.code()
    }

    pub fn code(self, expected: i32) -> Done {
        self.try_codes(&[expected])
    }

    /// Where which of them it is depends on the machine.
    pub fn try_codes(self, expected: &[i32]) -> Done {
        let mut command = self.test.command(helper());
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).write_stdin(self.stdin).output().unwrap();
        let text = |bytes: &[u8]| self.test.tidy(&String::from_utf8_lossy(bytes));
        let done = Done { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        let shown = format!("{:?}\n-- stdout\n{}-- stderr\n{}", self.args, done.stdout, done.stderr);
        assert!(
            done.code.is_some_and(|code| expected.contains(&code)),
            "not {expected:?} but {:?}: {shown}",
            done.code
        );
        if let Some(stdout) = &self.stdout {
            assert_eq!(&done.stdout, stdout, "{shown}");
        }
        for part in &self.stdout_parts {
            assert!(done.stdout.contains(part), "no {part:?} in {shown}");
        }
        for part in &self.stderr {
            assert!(done.stderr.contains(part), "no {part:?} in {shown}");
        }
        done
    }
}

impl Done {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A child of the test, killed if the test forgets it.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    pub fn finish(mut self) -> Done {
        let mut child = self.child.take().unwrap();
        let mut patience = Patience::new();
        while child.try_wait().unwrap().is_none() {
            if patience.is_over() {
                child.kill().unwrap();
                panic!("it did not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let code = child.wait().unwrap().code();
        let read = |from: Option<&mut dyn Read>| {
            let mut text = String::new();
            from.map(|from| from.read_to_string(&mut text).unwrap());
            text
        };
        let stdout = read(child.stdout.as_mut().map(|out| out as &mut dyn Read));
        let stderr = read(child.stderr.as_mut().map(|out| out as &mut dyn Read));
        Done { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut patience = Patience::new();
    while !holds() {
        assert!(!patience.is_over(), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn alive(pid: i32) -> bool {
    nixbox_state::Process::of(pid).unwrap().is_some_and(|process| process.is_alive())
}

pub fn mounted(path: &Path) -> bool {
    let path = path.display().to_string();
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().any(|line| line.split(' ').nth(4) == Some(&path))
}
