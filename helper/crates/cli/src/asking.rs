//! The one way from a verb to a database: the instance's owner is asked, and where none serves it, one is started for
//! this request. Which of the two answers makes no difference to the verb.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nixbox_config::Instance;
use nixbox_control::{Client, Conversation, Error, FilesRequest, KvRequest, Refusal, Request, Response, decode};
use nixbox_report::{Failure, Report, codes};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::presence::{self, Presence};
use crate::{owner_binary, select};

/// How long owners may come and go before one of them takes the request.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(5);
/// After so much silence the owner is asked whether it is there at all.
const SILENCE: Duration = Duration::from_secs(5);

/// Which instance a verb means.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// The instance [default: the default one]
    #[arg(short, long, value_name = "NAME")]
    pub instance: Option<String>,
}

/// An instance to be asked, whoever answers.
pub struct Asked {
    instance: Instance,
    /// What makes another program see the project as this one does.
    words: Vec<OsString>,
}

/// A request that was taken.
#[derive(Debug)]
pub struct Talk {
    conversation: Conversation,
    first: Response,
    instance: Instance,
    /// Who answers, where it was started for this.
    alone: Option<Alone>,
}

impl Asked {
    pub fn new(which: &Which, context: &Context) -> Result<Self, Report> {
        let project = context.project()?;
        let instance = select::one(&project, which.instance.as_deref())?.clone();
        Ok(Self { instance, words: context.forwarded(&project)? })
    }

    /// An instance of a project that the command line knows nothing of.
    pub fn of(instance: &Instance, words: Vec<OsString>) -> Self {
        Self { instance: instance.clone(), words }
    }

    pub fn name(&self) -> &str {
        &self.instance.name
    }

    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Asks whoever there is.
    pub fn ask(&self, request: &Request) -> Result<Talk, Report> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let tried = match presence::connect(&self.instance) {
                Ok(client) => self.talk(client, None, request),
                Err(Error::NotRunning) => {
                    let (client, alone) = Alone::start(self)?;
                    self.talk(client, Some(alone), request)
                }
                Err(error) => return Err(self.failed(error, None)),
            };
            match tried {
                Ok(talk) => return Ok(talk),
                // Somebody has begun to serve it, or is about to end.
                Err(Untaken::Moved(_)) if Instant::now() < until => thread::sleep(RETRY),
                Err(Untaken::Moved(report) | Untaken::Failed(report)) => return Err(report),
            }
        }
    }

    /// Asks only an owner that serves the instance.
    pub fn ask_owner(&self, request: &Request) -> Result<Talk, Report> {
        let client = match presence::connect(&self.instance) {
            Ok(client) => client,
            Err(Error::NotRunning) => return Err(presence::not_running(self.name()).into()),
            Err(error) => return Err(self.failed(error, None)),
        };
        self.talk(client, None, request).map_err(|(Untaken::Moved(report) | Untaken::Failed(report))| report)
    }

    /// For a request that is answered in one line.
    pub fn tell(&self, request: &Request) -> Result<Response, Report> {
        self.ask(request)?.finish()
    }

    /// The same with a body that is at hand: until all of it was taken nothing was done, so it may be tried again.
    pub fn tell_with(&self, request: &Request, body: &[u8], name: &str) -> Result<Response, Report> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let mut talk = self.ask(request)?;
            talk.send(&mut &*body, name)?;
            match talk.finish() {
                Err(report) if is_stopping(&report) && Instant::now() < until => thread::sleep(RETRY),
                done => return done,
            }
        }
    }

    fn talk(&self, client: Client, alone: Option<Alone>, request: &Request) -> Result<Talk, Untaken> {
        let conversation = match client.ask(request, Some(SILENCE)) {
            Ok(conversation) => conversation,
            Err(error) => return Err(self.untaken(error, alone, request)),
        };
        let mut talk = Talk { conversation, first: Response::Done, instance: self.instance.clone(), alone };
        match talk.answer() {
            Ok(first) => Ok(Talk { first, ..talk }),
            Err(error) => Err(self.untaken(error, talk.hung_up(), request)),
        }
    }

    fn untaken(&self, error: Error, alone: Option<Alone>, request: &Request) -> Untaken {
        let moved = match &error {
            Error::Refused(refusal) => {
                refusal.code == codes::OWNER_STOPPING.id || (refusal.code == codes::OWNER_HELD.id && alone.is_some())
            }
            // It was gone before it heard us, or in the middle of doing it: only what may be done twice is tried again.
            Error::Closed => alone.is_none() && may_be_repeated(request),
            _ => false,
        };
        let report = self.failed(error, alone);
        if moved { Untaken::Moved(report) } else { Untaken::Failed(report) }
    }

    fn failed(&self, error: Error, alone: Option<Alone>) -> Report {
        failed(&self.instance.name, error, alone)
    }
}

enum Untaken {
    /// Another may take it.
    Moved(Report),
    Failed(Report),
}

impl Talk {
    /// Sends the body that the owner waits for, all that `from` gives, and says how much that was.
    pub fn send(&mut self, from: &mut dyn Read, name: &str) -> Result<u64, Report> {
        let mut buffer = vec![0; nixbox_control::MAX_FRAME];
        let mut sent = 0;
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // Going away without an end is how the owner learns that this was not all.
                Err(error) => {
                    return Err(Failure::new(&codes::IO, format!("cannot read {name}"))
                        .why(error)
                        .help("see that it is whole and that this user may read it; nothing of it was kept")
                        .into());
                }
            };
            let wanted = self.conversation.send(&buffer[..length]);
            if !wanted.map_err(|error| failed(&self.instance.name, error, None))? {
                return Ok(sent);
            }
            sent += length as u64;
        }
        self.conversation.end().map_err(|error| failed(&self.instance.name, error, None))?;
        Ok(sent)
    }

    /// The last word, once the owner has let go of the database if it was started for this.
    pub fn finish(mut self) -> Result<Response, Report> {
        let last = match self.first {
            Response::Go => self.answer(),
            _ => Ok(std::mem::replace(&mut self.first, Response::Done)),
        };
        match last {
            Ok(response) => {
                self.leave()?;
                Ok(response)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The owner's body, piece by piece, for as long as `each` wants more.
    pub fn body(mut self, mut each: impl FnMut(&[u8]) -> Result<bool, Report>) -> Result<(), Report> {
        let mut buffer = Vec::new();
        loop {
            match self.conversation.next(&mut buffer) {
                Ok(true) if each(&buffer)? => {}
                Ok(_) => return self.leave(),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// The same where it is a JSON object a line. A frame holds whole lines or parts of them.
    pub fn lines<T: DeserializeOwned>(self, mut each: impl FnMut(T) -> Result<bool, Report>) -> Result<(), Report> {
        let name = self.instance.name.clone();
        let mut rest = Vec::new();
        self.body(|piece| {
            rest.extend_from_slice(piece);
            let mut begin = 0;
            while let Some(end) = rest[begin..].iter().position(|byte| *byte == b'\n') {
                let line = &rest[begin..begin + end];
                begin += end + 1;
                let thing = decode(line).map_err(|error| failed(&name, Error::Protocol(error.to_string()), None))?;
                if !each(thing)? {
                    return Ok(false);
                }
            }
            rest.drain(..begin);
            Ok(true)
        })
    }

    /// The stream itself, where the owner has handed it over, with what has come of it already; and who is to be waited
    /// for when it is closed.
    pub fn into_stream(self) -> Result<(UnixStream, Vec<u8>, Left), Report> {
        let name = self.instance.name;
        if self.first != Response::Yours {
            let why = format!("unexpected answer {:?}", self.first);
            return Err(failed(&name, Error::Protocol(why), self.alone));
        }
        let (stream, early) = self.conversation.into_stream().map_err(|error| failed(&name, error, None))?;
        Ok((stream, early, Left { name, alone: self.alone }))
    }

    /// Waits for as long as the owner is at it.
    fn answer(&mut self) -> Result<Response, Error> {
        loop {
            match self.conversation.answer(Some(SILENCE)) {
                Err(Error::TimedOut) if self.is_at_it() => {}
                other => return other,
            }
        }
    }

    fn is_at_it(&self) -> bool {
        self.alone.is_some() || matches!(presence::presence(&self.instance, SILENCE), Ok(Presence::Here(_)))
    }

    fn leave(self) -> Result<(), Report> {
        let name = self.instance.name.clone();
        self.hung_up().map_or(Ok(()), |alone| alone.gone(&name))
    }

    fn failed(self, error: Error) -> Report {
        let name = self.instance.name.clone();
        failed(&name, error, self.hung_up())
    }

    /// An owner that was started for this ends when nobody is left to talk to.
    fn hung_up(self) -> Option<Alone> {
        let Self { conversation, alone, .. } = self;
        drop(conversation);
        alone
    }
}

/// What is left of a talk whose stream went to another.
pub struct Left {
    name: String,
    alone: Option<Alone>,
}

impl Left {
    /// Waits until an owner that was started for this has let go of everything.
    pub fn leave(self) -> Result<(), Report> {
        self.alone.map_or(Ok(()), |alone| alone.gone(&self.name))
    }
}

fn is_stopping(report: &Report) -> bool {
    report.failures.iter().any(|failure| failure.code.id == codes::OWNER_STOPPING.id)
}

fn may_be_repeated(request: &Request) -> bool {
    match request {
        Request::Kv(KvRequest::Delete { .. }) => false,
        Request::Files(asked) => matches!(
            asked,
            FilesRequest::List { .. }
                | FilesRequest::Read { .. }
                | FilesRequest::Write { .. }
                | FilesRequest::Apply { .. }
                | FilesRequest::Stat { .. }
                | FilesRequest::Find { .. }
        ),
        // What has a body was not done before the body came.
        _ => true,
    }
}

fn failed(name: &str, error: Error, alone: Option<Alone>) -> Report {
    match error {
        Error::Refused(refusal) => {
            if let Some(alone) = alone {
                let _ = alone.gone(name);
            }
            said(refusal).into()
        }
        Error::Closed if alone.is_some() => match alone.map(|alone| alone.gone(name)) {
            Some(Err(report)) => report,
            _ => gone(name).into(),
        },
        Error::Closed => gone(name).into(),
        Error::NotRunning => presence::not_running(name).into(),
        Error::TimedOut => presence::silent(name, None).into(),
        error => Failure::new(&codes::OWNER_SILENT, format!("the owner of `{name}` cannot be asked"))
            .why(error)
            .help(format!("stop it with `nixbox-helper stop {name}`"))
            .into(),
    }
}

fn gone(name: &str) -> Failure {
    Failure::new(&codes::OWNER_GONE, format!("the owner of `{name}` ended before it was done"))
        .why("it was killed or told to stop")
        .help("see what came of the request before you repeat it")
}

/// The owner's refusal as this program's own failure: one failure has one code, whoever met it.
pub fn said(refusal: Refusal) -> Failure {
    let code = nixbox_report::ALL.iter().find(|code| code.id == refusal.code);
    let failure = Failure::new(code.unwrap_or(&&codes::UNEXPECTED), refusal.message);
    Failure { why: refusal.why, help: refusal.help, ..failure }
}

/// An owner for one request. It ends when the conversation does; what it says on the side is read meanwhile.
#[derive(Debug)]
struct Alone {
    child: Child,
    said: Option<thread::JoinHandle<String>>,
}

impl Alone {
    fn start(asked: &Asked) -> Result<(Client, Self), Report> {
        let program = owner_binary::find()?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(&program)
            .arg("request")
            .arg(&asked.instance.name)
            .args(&asked.words)
            .env("NIXBOX_LOG_FORMAT", "human")
            // Whoever listens there waits for another program than this one.
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", program.display())).why(error)
            })?;
        let said = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut said = Vec::new();
                let _ = stderr.read_to_end(&mut said);
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        Ok((Client::over(ours), Self { child, said }))
    }

    /// Waits until it has let go of everything.
    fn gone(mut self, name: &str) -> Result<(), Report> {
        let ended = self.child.wait()?;
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if ended.success() { Ok(()) } else { Err(presence::owner_failed(name, ended.code(), &said)) }
    }
}
