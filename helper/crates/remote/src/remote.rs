//! One remote, asked over HTTP. Blocks for as long as the deadlines let it and no longer.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, SendBody, Timeout};
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::batch::{self, Batch, Bound, Step};
use crate::error::{Error, Result};
use crate::spool::Spooled;
use crate::value::Rows;
use crate::wire::{self, Encoder};

/// An answer is held in memory; what is asked for is asked in parts that are far smaller.
const LARGEST_ANSWER: u64 = 256 << 20;
/// To a question that has one row for an answer, and to a change, which has a few words for each step.
const LARGEST_SMALL_ANSWER: u64 = 16 << 20;
/// What of a server's own words is told on.
const EXCERPT: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub connect: Duration,
    /// Without a byte in either direction; a server that works on a large batch is as silent.
    pub silence: Duration,
    pub whole: Duration,
    /// How often a question is asked that may be asked twice.
    pub tries: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            whole: Duration::from_secs(600),
            tries: 4,
        }
    }
}

/// Where a remote is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`, host, port and path, without a slash at the end.
    pub base: String,
    /// It never leaves this machine.
    pub loopback: bool,
}

pub struct Remote {
    agent: Agent,
    pipeline: String,
    authorization: Option<Zeroizing<String>>,
    deadlines: Deadlines,
}

impl Remote {
    /// `token`: sent to this endpoint and to no other.
    pub fn new(endpoint: &Endpoint, token: Option<&str>, deadlines: Deadlines) -> Result<Self> {
        let authorization = match token.map(str::trim).filter(|token| !token.is_empty()) {
            // A client that sends the rest of such a token, or nothing, gets an answer that explains nothing.
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => return Err(Error::Token),
            Some(token) => Some(Zeroizing::new(format!("Bearer {token}"))),
            None => None,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("nixbox/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A server with one connection at a time would keep everybody else waiting for one that is idle.
            .max_idle_connections(if endpoint.base.starts_with("https:") { 1 } else { 0 });
        if endpoint.loopback {
            config = config.proxy(None);
        }
        let pipeline = format!("{}/v2/pipeline", endpoint.base);
        Ok(Self { agent: config.build().new_agent(), pipeline, authorization, deadlines })
    }

    /// The same for who cannot wait: asked once, and answered by then with what is wrong, if need be.
    pub fn within(&self, whole: Duration) -> Self {
        let whole = whole.max(Duration::from_millis(1));
        let Deadlines { connect, silence, .. } = self.deadlines;
        let deadlines = Deadlines { connect: connect.min(whole), silence: silence.min(whole), whole, tries: 1 };
        let (agent, pipeline) = (self.agent.clone(), self.pipeline.clone());
        Self { agent, pipeline, authorization: self.authorization.clone(), deadlines }
    }

    /// One statement that changes nothing, and so may be asked again where the answer does not come.
    pub fn ask(&self, step: &Step) -> Result<Rows> {
        self.patiently(|| self.ask_once(step))
    }

    /// Several such, all answered as of one moment.
    pub fn ask_all(&self, batch: &Batch) -> Result<Vec<Rows>> {
        self.patiently(|| self.send(batch, "BEGIN", LARGEST_ANSWER))
    }

    fn patiently<T>(&self, ask: impl Fn() -> Result<T>) -> Result<T> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut tries = self.deadlines.tries.max(1);
        loop {
            tries -= 1;
            match ask() {
                Err(error) if error.is_passing() && tries > 0 => {
                    let pause = backoff.pause();
                    tracing::debug!(%error, ?pause, "asked again");
                    std::thread::sleep(pause);
                }
                answered => return answered,
            }
        }
    }

    fn ask_once(&self, step: &Step) -> Result<Rows> {
        let mut encoder = Encoder::new(Vec::new()).map_err(unwritten)?;
        encoder.write(None, &step.sql, &step.args).map_err(unwritten)?;
        let body = encoder.end().map_err(unwritten)?;
        let (mut rows, mut errors) = self.post(&mut body.as_slice(), body.len() as u64, 1, LARGEST_SMALL_ANSWER)?;
        match (errors.pop().flatten(), rows.pop().flatten()) {
            (Some(message), _) => Err(Error::Refused { step: 0, message }),
            (None, Some(rows)) => Ok(rows),
            (None, None) => Err(Error::Junk("a statement was neither refused nor answered".into())),
        }
    }

    /// All of `batch`, or nothing. It is sent once: whether one that got no answer has happened, only who sent it can find
    /// out.
    pub fn change(&self, batch: &Batch) -> Result<Vec<Rows>> {
        self.send(batch, "BEGIN IMMEDIATE", LARGEST_SMALL_ANSWER)
    }

    /// The same of one that is too large to be held in memory.
    /// `sent`: how many bytes are on their way.
    pub fn change_spooled(&self, spooled: &mut Spooled, sent: &mut dyn FnMut(u64)) -> Result<()> {
        let Spooled { file, steps, bytes } = spooled;
        let mut counted = Counted { body: file, bytes: 0, sent };
        let answers = self.post(&mut counted, *bytes, batch::on_wire(*steps), LARGEST_ANSWER)?;
        batch::outcome(*steps, answers).map(drop)
    }

    fn send(&self, batch: &Batch, begin: &'static str, largest: u64) -> Result<Vec<Rows>> {
        let mut bound = Bound::new(Vec::new(), begin).map_err(unwritten)?;
        batch.steps().iter().try_for_each(|step| bound.push(step)).map_err(unwritten)?;
        let (body, steps) = bound.end().map_err(unwritten)?;
        let answers = self.post(&mut body.as_slice(), body.len() as u64, batch::on_wire(steps), largest)?;
        batch::outcome(steps, answers)
    }

    /// `body`: so many bytes, with so many steps. `largest`: what the answer may be.
    fn post(&self, body: &mut dyn Read, bytes: u64, steps: usize, largest: u64) -> Result<wire::Outcome> {
        let mut outcome = self.exchange(body, bytes, steps, largest);
        let hide = |text: &mut String| *text = self.hidden(text);
        match &mut outcome {
            Ok((_, errors)) => errors.iter_mut().flatten().for_each(hide),
            Err(error) => error.texts().for_each(hide),
        }
        outcome
    }

    /// A server may say back what it was sent.
    fn hidden(&self, text: &str) -> String {
        match self.authorization.as_ref().and_then(|bearer| bearer.strip_prefix("Bearer ")) {
            Some(secret) => text.replace(secret, "…"),
            None => text.to_owned(),
        }
    }

    fn exchange(&self, body: &mut dyn Read, bytes: u64, steps: usize, largest: u64) -> Result<wire::Outcome> {
        let Deadlines { connect, silence, whole, .. } = self.deadlines;
        let mut request = self
            .agent
            .post(&self.pipeline)
            .config()
            .timeout_connect(Some(connect))
            .timeout_resolve(Some(connect))
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence))
            .timeout_global(Some(whole))
            .build()
            .content_type("application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.as_str());
        }
        // Servers want to know how much comes.
        let request = request.header("content-length", bytes);
        let mut response = request.send(SendBody::from_reader(body)).map_err(|error| self.on_the_way(error))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or("nowhere").to_owned();
            return Err(Error::Redirected { status: status.as_u16(), to });
        }
        let answer = response.body_mut().with_config().limit(largest).read_to_vec();
        match status {
            StatusCode::OK => wire::decode(&answer.map_err(|error| self.on_the_way(error))?, steps),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::NotAllowed { status: status.as_u16(), token: self.authorization.is_some() })
            }
            StatusCode::NOT_FOUND => Err(Error::NotFound),
            _ => Err(Error::Failed {
                status: status.as_u16(),
                said: excerpt(&self.hidden(&String::from_utf8_lossy(&answer.unwrap_or_default()))),
            }),
        }
    }

    fn on_the_way(&self, error: ureq::Error) -> Error {
        use ureq::Error as Ureq;
        match error {
            Ureq::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Error::Unreachable(format!("no connection within {} s", self.deadlines.connect.as_secs()))
            }
            Ureq::Timeout(Timeout::Global) => Error::Silent { seconds: self.deadlines.whole.as_secs() },
            Ureq::Timeout(_) => Error::Silent { seconds: self.deadlines.silence.as_secs() },
            Ureq::HostNotFound => Error::Unreachable("no such host".into()),
            Ureq::ConnectionFailed => Error::Unreachable("nothing answers there".into()),
            Ureq::Tls(_) | Ureq::Rustls(_) => Error::Unreachable(error.to_string()),
            Ureq::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Error::Unreachable("nothing listens there".into())
            }
            // Certificates that nobody vouches for come as this, too.
            Ureq::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                Error::Unreachable(error.to_string())
            }
            Ureq::BodyExceedsLimit(limit) => Error::Junk(format!("it is longer than {} MiB", limit >> 20)),
            Ureq::Protocol(_) | Ureq::Http(_) | Ureq::LargeResponseHeader(..) => Error::Junk(error.to_string()),
            other => Error::BrokenOff(other.to_string()),
        }
    }
}

struct Counted<'a> {
    body: &'a mut dyn Read,
    bytes: u64,
    sent: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.bytes += read as u64;
        (self.sent)(self.bytes);
        Ok(read)
    }
}

/// Memory takes everything; what cannot be JSON does not come here.
fn unwritten(error: std::io::Error) -> Error {
    Error::Junk(error.to_string())
}

/// In one line, and without what a terminal would obey.
fn excerpt(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    match words.join(" ") {
        nothing if nothing.is_empty() => "nothing more".into(),
        said => said.chars().take(EXCERPT).collect(),
    }
}
