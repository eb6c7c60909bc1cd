use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use nixbox_config::env::prefix;
use nixbox_config::{Engine, Instance, Project, Share, Span};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::{Account, Bind, Confinement, Ending, Foreground, Outlet};
use schemars::JsonSchema;
use serde::Serialize;

use super::env::exports;
use crate::asking::Asked;
use crate::confine;
use crate::context::{Context, io_failure};
use crate::on_record::Call;
use crate::select;

mod flags;
mod place;

pub use flags::Flags;
use place::Place;

/// Run a command that sees the instance in the place of its project folder
///
/// Paths stay what they are: to the command, and to whatever it starts, the folder that the instance lies over holds
/// what the instance holds. That takes a mount namespace; where this user may not have one, the command starts in the
/// mount, and a warning says so. It begins in the folder in which this is called, as far as that lies in the project.
/// AGENTFS_* are set, and the command is on record in the timeline with its arguments, its end and how long it took.
///
/// Its exit code is the command's own, or 128 and the signal that ended it. 126: it is not executable. 127: it was not
/// found. 125: it could not be run for another reason, or took longer than --timeout.
///
/// What the instance says under `limits` holds for it and all that it starts, and the flags here before that; with one of
/// them nothing that it has started outlives it. Where this user may make no control groups, a warning says what holds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper exec sandbox -- make test\n  nixbox-helper exec -it sandbox -- bash\n  git diff | nixbox-helper exec -i -- git apply\n  nixbox-helper exec --timeout 600 -e CI=1 -w web -- npm test\n  nixbox-helper exec --memory 1GiB --cpu 1.5 --pids 200 -- make test"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// Who runs it, by name or number; for root alone
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    #[command(flatten)]
    pub flags: Flags,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub command: Vec<String>,
    /// As this program ends with it
    pub exit_code: u8,
    /// The number of the signal that ended it, where one did
    pub signal: Option<i32>,
    pub timed_out: bool,
    /// It was killed, or a part of it, because it needed more memory than it may take
    pub out_of_memory: bool,
    pub duration_ms: u64,
    /// It saw the instance in the place of the project folder
    pub in_place: bool,
    /// What is not UTF-8 is replaced; the first 4 MiB
    pub stdout: String,
    pub stderr: String,
    /// How many bytes of the two are left out
    pub dropped: u64,
    /// Its number in the timeline
    pub call: Option<i64>,
}

/// All that is not the command's own end.
pub const FAILED: u8 = 125;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    ended(exec(args, context), context)
}

/// What is not the command's own end, as an exit code that no command means.
pub fn ended(done: Result<u8, Report>, context: &Context) -> Result<u8, Report> {
    done.or_else(|report| {
        context.output.report(&report);
        let code = report.failures.first().map(|failure| failure.code);
        Ok(match code {
            Some(code) if *code == codes::EXEC_MISSING || *code == codes::EXEC_NOT_EXECUTABLE => report.exit(),
            _ => FAILED,
        })
    })
}

fn exec(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let Args { flags, user, .. } = args;
    let share = flags.over(instance.limits.commands);
    let (interactive, outlet) = (flags.interactive, flags.outlet(context));
    let inside = Inside {
        project: &project,
        instance,
        command: flags.command,
        cwd: flags.workdir,
        env: flags.env,
        user,
        stdin: None,
        is_recorded: true,
        binds: Vec::new(),
        spares: None,
        group: (!confine::limits(&share).is_none()).then(|| confine::own_group(&project)),
        share,
    };
    inside.run(interactive, outlet, false, context)
}

/// A command in an instance.
pub struct Inside<'p> {
    pub project: &'p Project,
    pub instance: &'p Instance,
    pub command: Vec<OsString>,
    pub cwd: Option<PathBuf>,
    /// `NAME=VALUE`, or `NAME` for one of ours.
    pub env: Vec<String>,
    pub user: Option<String>,
    /// The file that it reads.
    pub stdin: Option<PathBuf>,
    pub is_recorded: bool,
    /// What it sees of the machine in or beside the instance.
    pub binds: Vec<Bind>,
    /// The one child of this process that is not the command's.
    pub spares: Option<Process>,
    /// The control group that it is put into, if one can be made.
    pub group: Option<String>,
    pub share: Share,
}

impl Inside<'_> {
    /// With all that it has started, our output and nothing typed.
    pub fn run_to_the_end(self, context: &Context) -> Result<u8, Report> {
        let reads = self.reads()?;
        self.run(reads, Outlet::Ours, true, context)
    }

    /// Has it read its file, from the beginning. False where there is none.
    fn reads(&self) -> Result<bool, Report> {
        let Some(path) = &self.stdin else { return Ok(false) };
        let file = std::fs::File::open(path).map_err(|error| io_failure("read", path, error))?;
        nix::unistd::dup2_stdin(&file).map_err(std::io::Error::from)?;
        Ok(true)
    }

    /// As `run_to_the_end`, but ends as well when there is something to read from `recall`.
    pub fn run_until(&self, recall: BorrowedFd<'_>, context: &Context) -> Result<Ending, Report> {
        let (foreground, place) = self.foreground(self.reads()?, Outlet::Ours, true, context)?;
        let call = self.call(&foreground.cwd, context)?;
        let foreground = self.confined(foreground, context);
        match foreground.run_until(recall) {
            Ok(ending) => {
                if let Some(why) = &ending.without_view {
                    context.output.warn(without_view(&place, why));
                }
                recorded(call, &ending, context);
                self.unbearable(&ending).iter().for_each(|failure| context.output.report(&failure.clone().into()));
                Ok(ending)
            }
            Err(error) => Err(failed(&foreground.program, &error, call, context).into()),
        }
    }

    fn foreground(
        &self,
        input: bool,
        outlet: Outlet,
        leaves_nothing: bool,
        context: &Context,
    ) -> Result<(Foreground, Place), Report> {
        let instance = self.instance;
        let mut place = Place::of(instance)?;
        let cwd = place.folder(self.cwd.as_deref())?;
        place.bind(&self.binds, instance, context)?;
        let (program, rest) = self.command.split_first().ok_or_else(|| Failure::new(&codes::USAGE, "no command"))?;
        let foreground = Foreground {
            program: program.clone(),
            args: rest.to_vec(),
            env: environment(&self.env, self.project, instance, &place)?,
            cwd,
            view: place.view.clone(),
            user: account(self.user.as_deref(), instance)?,
            input,
            outlet,
            spares: self.spares,
            limit: self.share.timeout.map(|Span(limit)| limit),
            // What outlived it would be held to nothing.
            leaves_nothing: leaves_nothing || self.group.is_some(),
            confinement: Confinement::default(),
        };
        Ok((foreground, place))
    }

    fn words(&self) -> Vec<String> {
        self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// The entry of the timeline, where there is to be one.
    fn call(&self, cwd: &Path, context: &Context) -> Result<Option<Call>, Report> {
        // Upstream's engine answers no requests while it serves.
        if self.instance.engine != Engine::Builtin || !self.is_recorded {
            return Ok(None);
        }
        let parameters = serde_json::json!({ "command": self.words(), "cwd": cwd.to_string_lossy() });
        let asked = Asked::of(self.instance, context.forwarded(self.project)?);
        Call::begin("exec", &parameters, asked).map(Some)
    }

    /// Held to what it may take. From here on it has to be run, which takes its group away again.
    fn confined(&self, foreground: Foreground, context: &Context) -> Foreground {
        let Some(name) = &self.group else { return foreground };
        let user = foreground.user.as_ref().map_or_else(nix::unistd::geteuid, |user| user.uid);
        let (confinement, unheld) = Confinement::prepare(name, &confine::limits(&self.share), user);
        unheld.iter().for_each(|one| context.output.warn(confine::warning(one)));
        Foreground { confinement, ..foreground }
    }

    /// What it may take, and has ended for.
    fn unbearable(&self, ending: &Ending) -> Option<Failure> {
        let program = self.command.first()?;
        match (ending.timed_out, self.share.timeout) {
            (true, Some(Span(limit))) => Some(timed_out(&self.command, limit.as_secs_f64())),
            _ if ending.out_of_memory && ending.code() != 0 => Some(out_of_memory(program, &self.share)),
            _ => None,
        }
    }

    fn run(self, input: bool, outlet: Outlet, leaves_nothing: bool, context: &Context) -> Result<u8, Report> {
        let answer = self.carry_out(input, outlet, leaves_nothing, context)?;
        let code = answer.exit_code;
        match (answer.timed_out, self.share.timeout) {
            _ if outlet == Outlet::Captured => context.output.json(answer)?,
            (true, Some(Span(limit))) => return Err(timed_out(&self.command, limit.as_secs_f64()).into()),
            _ => {}
        }
        Ok(code)
    }

    /// Its output is in the answer where that is the outlet.
    pub fn carry_out(
        &self,
        input: bool,
        outlet: Outlet,
        leaves_nothing: bool,
        context: &Context,
    ) -> Result<Answer, Report> {
        let (foreground, place) = self.foreground(input, outlet, leaves_nothing, context)?;
        let call = self.call(&foreground.cwd, context)?;
        let id = call.as_ref().map(Call::id);
        let foreground = self.confined(foreground, context);
        match foreground.run() {
            Ok(ending) => {
                if let Some(why) = &ending.without_view {
                    context.output.warn(without_view(&place, why));
                }
                recorded(call, &ending, context);
                let unbearable = self.unbearable(&ending).filter(|_| outlet != Outlet::Captured && !ending.timed_out);
                unbearable.into_iter().for_each(|failure| context.output.report(&failure.into()));
                Ok(answer(self.instance, self.words(), &ending, &place, id))
            }
            Err(error) => Err(failed(&foreground.program, &error, call, context).into()),
        }
    }
}

fn failed(program: &OsString, error: &std::io::Error, call: Option<Call>, context: &Context) -> Failure {
    let failure = not_run(program, error);
    if let Some(call) = call {
        call.fail(&failure.what, None, context);
    }
    failure
}

fn recorded(call: Option<Call>, ending: &Ending, context: &Context) {
    let Some(call) = call else { return };
    let result = serde_json::json!({ "exit_code": ending.code(), "in_place": ending.without_view.is_none() });
    match (ending.timed_out, ending.code()) {
        _ if ending.recalled => call.succeed(&result, context),
        (true, _) => call.fail("it took too long and was ended", Some(&result), context),
        (false, 1..) if ending.out_of_memory => {
            call.fail("it needed more memory than it may take", Some(&result), context)
        }
        (false, 0) => call.succeed(&result, context),
        (false, code) => call.fail(&format!("exit code {code}"), Some(&result), context),
    }
}

fn environment(
    given: &[String],
    project: &Project,
    instance: &Instance,
    place: &Place,
) -> Result<Vec<(OsString, OsString)>, Report> {
    let mut all: BTreeMap<OsString, OsString> =
        exports(project, Some(&instance.name))?.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    for name in ["AGENTFS_MOUNT".to_owned(), prefix(&instance.name) + "MOUNT"] {
        all.insert(name.into(), place.root.clone().into());
    }
    for given in given {
        match given.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::new(&codes::USAGE, format!("`{given}` names no variable"))
                    .help("write NAME=VALUE")
                    .into());
            }
            Some((name, value)) => drop(all.insert(name.into(), value.into())),
            // All of ours are there anyway; this one wins over what the configuration says.
            None => drop(std::env::var_os(given).map(|value| all.insert(given.into(), value))),
        }
    }
    Ok(all.into_iter().collect())
}

fn account(word: Option<&str>, instance: &Instance) -> Result<Option<Account>, Report> {
    let Some(word) = word else { return Ok(None) };
    let Some(account) = Account::named(word)? else {
        return Err(Failure::new(&codes::EXEC_USER, format!("this machine knows no `{word}`"))
            .help("name a user, or a number")
            .into());
    };
    let me = nix::unistd::geteuid();
    if account.uid == me {
        return Ok(None);
    }
    let refused = |why: &str, help: &str| {
        Failure::new(&codes::EXEC_USER, format!("it cannot be run as `{word}`")).why(why).help(help)
    };
    if !me.is_root() {
        return Err(refused("only root may become somebody else", "leave out --user, or ask as root").into());
    }
    if !instance.mount.as_ref().is_some_and(|mount| mount.allow_other) {
        let why = "the mount shows its files to nobody but who mounted it";
        return Err(refused(why, "set `mount.allow_other = true` for the instance").into());
    }
    Ok(Some(account))
}

fn without_view(place: &Place, why: &std::io::Error) -> String {
    format!(
        "the command saw the instance in {} and not in the place of {}: {why}; paths into that folder led to the real files",
        place.mount.display(),
        place.root.display()
    )
}

fn not_run(program: &OsString, error: &std::io::Error) -> Failure {
    let program = program.display();
    match error.kind() {
        ErrorKind::NotFound => Failure::new(&codes::EXEC_MISSING, format!("`{program}` was not found"))
            .why("it lies in no folder of PATH, or what its first line names does not")
            .help("name it with its path, as it is inside the instance"),
        ErrorKind::PermissionDenied => {
            Failure::new(&codes::EXEC_NOT_EXECUTABLE, format!("`{program}` is not executable"))
                .why(error)
                .help("make it so with `chmod +x`")
        }
        ErrorKind::Unsupported => Failure::new(&codes::RUN_BIND, "what is bound cannot be shown to the command")
            .why(error)
            .help("it takes a mount namespace: run it as root, or leave out -v"),
        _ => Failure::new(&codes::EXEC_FAILED, format!("`{program}` could not be run"))
            .why(error)
            .help("--workdir names another folder to begin in"),
    }
}

pub fn timed_out(command: &[OsString], limit: f64) -> Failure {
    let program = command.first().cloned().unwrap_or_default();
    Failure::new(&codes::EXEC_TIMED_OUT, format!("`{}` took longer than {limit} s", program.display()))
        .why("it was told to end, and killed where it did not")
        .help("give it longer with --timeout or `limits.timeout`, or as long as it likes without")
}

fn out_of_memory(program: &OsString, share: &Share) -> Failure {
    let most = share.memory.map_or_else(|| "what there was".to_owned(), |most| most.to_string());
    Failure::new(&codes::EXEC_OUT_OF_MEMORY, format!("`{}` needed more memory than {most}", program.display()))
        .why("the kernel killed it, or something that it had started")
        .help("give it more with --memory or `limits.memory`")
}

fn answer(instance: &Instance, command: Vec<String>, ending: &Ending, place: &Place, call: Option<i64>) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        instance: instance.name.clone(),
        command,
        exit_code: if ending.timed_out { FAILED } else { ending.code() },
        signal: ending.status.signal(),
        timed_out: ending.timed_out,
        out_of_memory: ending.out_of_memory,
        duration_ms: u64::try_from(ending.took.as_millis()).unwrap_or(u64::MAX),
        in_place: place.view.is_some() && ending.without_view.is_none(),
        stdout: text(&ending.output.stdout),
        stderr: text(&ending.output.stderr),
        dropped: ending.output.dropped,
        call,
    }
}
