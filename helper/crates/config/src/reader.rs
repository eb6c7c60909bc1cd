//! From a tree to a document, one table at a time. Each key is asked for by name and type; what nobody asked for
//! is unknown. A wrong value is reported and read as if it were not there, so that everything after it is checked
//! as well.

mod made;
mod schedules;
mod units;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use nixbox_report::{Code, Failure, codes};

use crate::document::{
    At, Command, Document, EncryptionDocument, HooksDocument, HttpDocument, InstanceDocument, LimitsDocument,
    McpDocument, MountDocument, NfsDocument, PartialDocument, RemoteDocument, ServeDocument, ShareDocument,
    SyncDocument,
};
use crate::problems::Problems;
use crate::processors::Processors;
use crate::schema;
use crate::size::Size;
use crate::span::Span;
use crate::tree::{Entry, Value, join};
use crate::words::Word;

pub(crate) use made::{MadeDocument, made};

/// The version of the format that this program reads.
pub(crate) const VERSION: u32 = 1;

pub(crate) fn document(entries: Vec<Entry<'_>>, problems: &Problems) -> Document {
    let mut top = Table { path: String::new(), line: 1, entries, asked: Vec::new(), problems };
    let version = match version(&mut top) {
        Ok(version) => version,
        // Of another version nothing else can be said.
        Err(Other) => return Document::empty(),
    };
    let document = Document {
        version,
        data_dir: top.text("data_dir"),
        runtime_dir: top.text("runtime_dir"),
        agentfs_program: top.text("agentfs_program"),
        default_instance: top.text("default_instance"),
        log_level: top.word("log_level"),
        remotes: top.tables("remotes", remote),
        instances: top.tables("instances", instance),
        jobs: top.tables("jobs", units::job),
        schedules: top.tables("schedules", schedules::schedule),
    };
    top.finish();
    document
}

fn instance(table: &mut Table<'_, '_>) -> InstanceDocument {
    InstanceDocument {
        enable: table.flag("enable"),
        description: table.text("description"),
        engine: table.word("engine"),
        base: table.text("base"),
        exclude: table.list("exclude"),
        mode: table.word("mode"),
        limits: table.table("limits", limits),
        labels: table.texts("labels"),
        env: table.texts("env"),
        mount: table.table("mount", mount),
        http: table.table("http", http),
        nfs: table.table("nfs", nfs),
        encryption: table.table("encryption", encryption),
        sync: table.table("sync", sync),
        hooks: table.table("hooks", hooks),
        mcp: table.table("mcp", mcp),
        depends_on: table.named_words("depends_on"),
        restart: table.table("restart", units::restart),
        health: table.table("health", units::health),
    }
}

fn remote(table: &mut Table<'_, '_>) -> RemoteDocument {
    let serve = table.table("serve", serve);
    // Of one that is served from here the address is known.
    let is_served = serve.as_ref().is_some_and(|at| at.value.enable.as_ref().is_none_or(|enable| enable.value));
    let help = "write where the remote is, such as url = \"https://…\", or serve it from here with a table `serve`";
    RemoteDocument {
        url: if is_served { table.text("url") } else { table.needed("url", help) },
        token_file: table.text("token_file"),
        token_command: table.list("token_command"),
        token_env: table.text("token_env"),
        insecure: table.flag("insecure"),
        serve,
    }
}

fn serve(table: &mut Table<'_, '_>) -> ServeDocument {
    ServeDocument {
        enable: table.flag("enable"),
        port: table.integer("port", 1, u16::MAX),
        program: table.text("program"),
        hosts: table.list("hosts"),
        wal_alarm: table.size("wal_alarm"),
    }
}

fn sync(table: &mut Table<'_, '_>) -> SyncDocument {
    SyncDocument {
        remote: table.needed("remote", "name one that is declared with [remotes.NAME]"),
        partial: table.table("partial", partial),
        mode: table.word("mode"),
        interval: table.span("interval", Span::seconds(1)),
        debounce: table.span("debounce", Span::millis(10)),
        pull_on_start: table.flag("pull_on_start"),
        push_on_stop: table.flag("push_on_stop"),
        offline: table.word("offline"),
        lease: table.span("lease", Span::seconds(2)),
    }
}

fn partial(table: &mut Table<'_, '_>) -> PartialDocument {
    PartialDocument {
        prefetch: table.flag("prefetch"),
        segment_size: table.size("segment_size"),
        bootstrap_query: table.text("bootstrap_query"),
        bootstrap_length: table.size("bootstrap_length"),
    }
}

fn limits(table: &mut Table<'_, '_>) -> LimitsDocument {
    let ShareDocument { cpu, memory, pids, timeout } = units::share(table);
    // Beyond 2^53 a program that keeps numbers in floating point would read another one.
    let files = table.integer("files", 1, (1 << 53) - 1);
    LimitsDocument { size: table.size("size"), files, cpu, memory, pids, timeout }
}

fn mount(table: &mut Table<'_, '_>) -> MountDocument {
    MountDocument {
        path: table.text("path"),
        backend: table.word("backend"),
        read_only: table.flag("read_only"),
        allow_root: table.flag("allow_root"),
        allow_other: table.flag("allow_other"),
        uid: table.integer("uid", 0, u32::MAX - 1),
        gid: table.integer("gid", 0, u32::MAX - 1),
        create: table.flag("create"),
    }
}

fn http(table: &mut Table<'_, '_>) -> HttpDocument {
    HttpDocument {
        bind: table.address("bind"),
        port: table.integer("port", 0, u16::MAX),
        expose: table.flag("expose"),
        hosts: table.list("hosts"),
    }
}

fn mcp(table: &mut Table<'_, '_>) -> McpDocument {
    McpDocument { tools: table.words("tools") }
}

fn hooks(table: &mut Table<'_, '_>) -> HooksDocument {
    HooksDocument {
        created: table.commands("created"),
        ready: table.commands("ready"),
        unhealthy: table.commands("unhealthy"),
        restarted: table.commands("restarted"),
        stopped: table.commands("stopped"),
        exec: table.commands("exec"),
        snapshot: table.commands("snapshot"),
        sync: table.commands("sync"),
        conflict: table.commands("conflict"),
    }
}

fn nfs(table: &mut Table<'_, '_>) -> NfsDocument {
    NfsDocument {
        enable: table.flag("enable"),
        bind: table.address("bind"),
        port: table.integer("port", 0, u16::MAX),
        expose: table.flag("expose"),
    }
}

fn encryption(table: &mut Table<'_, '_>) -> EncryptionDocument {
    EncryptionDocument {
        cipher: table.word("cipher"),
        key_file: table.text("key_file"),
        key_command: table.list("key_command"),
        key_env: table.text("key_env"),
    }
}

/// The file is of another version.
struct Other;

fn version(top: &mut Table<'_, '_>) -> Result<At<u32>, Other> {
    let help = format!("write `version = {VERSION}` as the first line");
    let here = At { value: VERSION, line: 1 };
    match top.take("version") {
        None => {
            let failure = Failure::new(&codes::CONFIG_VERSION, "`version` is missing").help(help);
            top.problems.at(1, "version", failure);
            Ok(here)
        }
        Some(Entry { value: Value::Integer(number), line, .. }) if number == i128::from(VERSION) => {
            Ok(At { line, ..here })
        }
        Some(Entry { value: Value::Integer(number), line, .. }) => {
            let what = format!("This is version {number} of the format, and this nixbox knows version {VERSION}");
            top.problems.at(line, "version", Failure::new(&codes::CONFIG_VERSION, what).help(help));
            Err(Other)
        }
        Some(entry) => {
            let what = format!("`version` must be an integer, not {}", entry.value.kind());
            top.problems.at(entry.line, "version", Failure::new(&codes::CONFIG_VERSION, what).help(help));
            Ok(here)
        }
    }
}

/// One table of the file, while it is read.
struct Table<'t, 'p> {
    path: String,
    /// Where it begins.
    line: usize,
    /// Those not yet asked for.
    entries: Vec<Entry<'t>>,
    asked: Vec<&'static str>,
    problems: &'p Problems,
}

impl<'t, 'p> Table<'t, 'p> {
    fn take(&mut self, name: &'static str) -> Option<Entry<'t>> {
        self.asked.push(name);
        let at = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(at))
    }

    fn text(&mut self, name: &'static str) -> Option<At<String>> {
        let entry = self.take(name)?;
        self.string(entry)
    }

    /// Text without which the table means nothing.
    fn needed(&mut self, name: &'static str, help: &str) -> Option<At<String>> {
        let Some(entry) = self.take(name) else {
            return self.report(&codes::CONFIG_VALUE, self.line, name, format!("`{name}` is missing"), help);
        };
        self.string(entry)
    }

    fn flag(&mut self, name: &'static str) -> Option<At<bool>> {
        match self.take(name)? {
            Entry { value: Value::Bool(value), line, .. } => Some(At { value, line }),
            entry => self.wrong_type(&entry, "a boolean", "write true or false, without quotes"),
        }
    }

    fn integer<T>(&mut self, name: &'static str, least: T, most: T) -> Option<At<T>>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let entry = self.take(name)?;
        let write = format_args!("write a whole number from {least} to {most}");
        match entry {
            Entry { value: Value::Integer(number), line, name } => match T::try_from(number) {
                Ok(value) if value >= least && value <= most => Some(At { value, line }),
                _ => {
                    let what = format!("`{name}` is out of range");
                    self.report(&codes::CONFIG_VALUE, line, &name, what, &write.to_string())
                }
            },
            entry => self.wrong_type(&entry, "an integer", &format!("{write}, without quotes")),
        }
    }

    fn word<T: Word>(&mut self, name: &'static str) -> Option<At<T>> {
        let at = self.text(name)?;
        self.as_word(name, at)
    }

    /// An array of words; none where it is not written, which is something else than an empty one.
    fn words<T: Word>(&mut self, name: &'static str) -> Option<Vec<At<T>>> {
        let written = self.entries.iter().any(|entry| entry.name == name);
        let list = self.list(name);
        written.then(|| list.into_iter().filter_map(|at| self.as_word(name, at)).collect())
    }

    fn as_word<T: Word>(&self, name: &'static str, At { value, line }: At<String>) -> Option<At<T>> {
        if let Ok(word) = value.parse() {
            return Some(At { value: word, line });
        }
        let quoted: Vec<_> = T::WORDS.iter().map(|word| format!("\"{word}\"")).collect();
        let help = match schema::nearest(&value, T::WORDS.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? possible are {}", quoted.join(", ")),
            None => format!("Possible are {}", quoted.join(", ")),
        };
        self.report(&codes::CONFIG_TYPE, line, name, format!("{value:?} is no possible `{name}`"), &help)
    }

    /// A table of words with free names.
    fn named_words<T: Word>(&mut self, name: &'static str) -> BTreeMap<String, At<T>> {
        self.free(name, |all, entry| {
            let at = all.string(entry)?;
            all.as_word(name, at)
        })
    }

    fn size(&mut self, name: &'static str) -> Option<At<Size>> {
        let (line, read) = match self.take(name)? {
            Entry { value: Value::Integer(number), line, .. } => (line, number.to_string().parse()),
            Entry { value: Value::Text(text), line, .. } => (line, text.parse()),
            entry => return self.wrong_type(&entry, "a size", "write a number of bytes, or one such as \"2GiB\""),
        };
        match read {
            Ok(value) => Some(At { value, line }),
            Err(why) => {
                let failure = Failure::new(&codes::CONFIG_VALUE, format!("`{name}` is no possible size")).why(why);
                let failure = failure.help("write a number of bytes, or one such as \"2GiB\"");
                self.problems.at(line, &join(&self.path, name), failure);
                None
            }
        }
    }

    fn span(&mut self, name: &'static str, least: Span) -> Option<At<Span>> {
        let help = format!("write {least} or more, such as \"30s\" or \"5min\"");
        let At { value, line } = match self.take(name)? {
            entry @ Entry { value: Value::Text(_), .. } => self.string(entry)?,
            entry => return self.wrong_type(&entry, "a span of time", &help),
        };
        let why = match value.parse::<Span>() {
            Ok(span) if span >= least => return Some(At { value: span, line }),
            Ok(_) => "it is too short",
            Err(why) => why,
        };
        let failure = Failure::new(&codes::CONFIG_VALUE, format!("{value:?} is no possible `{name}`")).why(why);
        self.problems.at(line, &join(&self.path, name), failure.help(help));
        None
    }

    fn processors(&mut self, name: &'static str) -> Option<At<Processors>> {
        let help = "write a number, such as 1.5";
        let (line, number) = match self.take(name)? {
            Entry { value: Value::Integer(number), line, .. } => (line, number as f64),
            Entry { value: Value::Float(number), line, .. } => (line, number),
            entry => return self.wrong_type(&entry, "a number", help),
        };
        match Processors::try_from(number) {
            Ok(value) => Some(At { value, line }),
            Err(why) => {
                let failure = Failure::new(&codes::CONFIG_VALUE, format!("`{name}` is out of range")).why(why);
                self.problems.at(line, &join(&self.path, name), failure.help(help));
                None
            }
        }
    }

    fn address(&mut self, name: &'static str) -> Option<At<IpAddr>> {
        let At { value, line } = self.text(name)?;
        match IpAddr::from_str(&value) {
            Ok(value) => Some(At { value, line }),
            Err(_) => {
                let what = format!("{value:?} is not an IP address");
                self.report(
                    &codes::CONFIG_VALUE,
                    line,
                    name,
                    what,
                    "write \"127.0.0.1\" or \"::1\"; names are not looked up",
                )
            }
        }
    }

    fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Table<'t, 'p>) -> T) -> Option<At<T>> {
        let entry = self.take(name)?;
        self.nested(entry, read)
    }

    /// A table of tables with free names.
    fn tables<T>(&mut self, name: &'static str, read: impl Fn(&mut Table<'t, 'p>) -> T) -> BTreeMap<String, At<T>> {
        self.free(name, |all, entry| all.nested(entry, &read))
    }

    /// A table of strings with free names.
    fn texts(&mut self, name: &'static str) -> BTreeMap<String, At<String>> {
        self.free(name, |all, entry| all.string(entry))
    }

    /// An array of strings.
    fn list(&mut self, name: &'static str) -> Vec<At<String>> {
        let Some(entry) = self.take(name) else { return Vec::new() };
        let Entry { value: Value::List(items), .. } = entry else {
            self.wrong_type::<()>(&entry, "an array of strings", "write it in brackets: [\"…\"]");
            return Vec::new();
        };
        let item = |(line, value)| self.string(Entry { name: name.into(), line, value });
        items.into_iter().filter_map(item).collect()
    }

    /// An array of commands, each an array of strings.
    fn commands(&mut self, name: &'static str) -> Vec<At<Command>> {
        const WRITE: &str = "write each command in brackets of its own: [[\"program\", \"argument\"]]";
        let Some(entry) = self.take(name) else { return Vec::new() };
        let Entry { value: Value::List(items), .. } = entry else {
            self.wrong_type::<()>(&entry, "an array of commands", WRITE);
            return Vec::new();
        };
        let command = |(line, value)| match value {
            Value::List(words) if words.is_empty() => {
                self.report(&codes::CONFIG_VALUE, line, name, format!("A command of `{name}` is empty"), WRITE)
            }
            Value::List(words) => {
                let word = |(line, value)| self.string(Entry { name: name.into(), line, value });
                Some(At { value: words.into_iter().filter_map(word).collect(), line })
            }
            value => self.wrong_type(&Entry { name: name.into(), line, value }, "an array of commands", WRITE),
        };
        items.into_iter().filter_map(command).collect()
    }

    fn free<T>(
        &mut self,
        name: &'static str,
        mut one: impl FnMut(&mut Table<'t, 'p>, Entry<'t>) -> Option<At<T>>,
    ) -> BTreeMap<String, At<T>> {
        let Some(entry) = self.take(name) else { return BTreeMap::new() };
        let read = |all: &mut Table<'t, 'p>| {
            // Into the map at once: an instance is large, and would be moved about in a list that grows.
            let mut found = BTreeMap::new();
            for entry in std::mem::take(&mut all.entries) {
                let name = entry.name.to_string();
                if let Some(value) = one(all, entry) {
                    found.insert(name, value);
                }
            }
            found
        };
        self.nested(entry, read).map_or_else(BTreeMap::new, |at: At<BTreeMap<_, _>>| at.value)
    }

    fn nested<T>(&mut self, entry: Entry<'t>, read: impl FnOnce(&mut Table<'t, 'p>) -> T) -> Option<At<T>> {
        let path = join(&self.path, &entry.name);
        match entry {
            Entry { value: Value::Table(entries), line, .. } => {
                let mut table = Table { path, line, entries, asked: Vec::new(), problems: self.problems };
                let value = read(&mut table);
                table.finish();
                Some(At { value, line })
            }
            entry => self.wrong_type(&entry, "a table", &format!("write [{path}] and its keys on the lines below")),
        }
    }

    fn string(&mut self, entry: Entry<'t>) -> Option<At<String>> {
        match entry {
            Entry { value: Value::Text(text), line, .. } => Some(At { value: text.into_owned(), line }),
            entry => self.wrong_type(&entry, "a string", "put the value in double quotes"),
        }
    }

    fn wrong_type<T>(&self, entry: &Entry<'_>, wanted: &str, help: &str) -> Option<T> {
        let what = format!("`{}` must be {wanted}, not {}", entry.name, entry.value.kind());
        self.report(&codes::CONFIG_TYPE, entry.line, &entry.name, what, help)
    }

    fn report<T>(&self, code: &'static Code, line: usize, name: &str, what: String, help: &str) -> Option<T> {
        self.problems.at(line, &join(&self.path, name), Failure::new(code, what).help(help));
        None
    }

    /// Whatever is left is unknown.
    fn finish(self) {
        for entry in &self.entries {
            let what = format!("`{}` is not a key that nixbox knows here", entry.name);
            let help = schema::suggest(&entry.name, &self.asked);
            self.report::<()>(&codes::CONFIG_UNKNOWN_KEY, entry.line, &entry.name, what, &help);
        }
    }
}
