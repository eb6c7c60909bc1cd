//! Every failure that has a name. The reference page of errors is generated from this list.

/// What a calling program can tell from the exit code alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Unexpected = 1,
    Usage = 2,
    NotFound = 3,
    Held = 4,
    Conflict = 5,
    TimedOut = 6,
    Refused = 7,
    Unavailable = 8,
    /// As a shell tells it of a command.
    NotExecutable = 126,
    NoSuchCommand = 127,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub id: &'static str,
    pub exit: Exit,
    /// When it happens and what to do, for the reference page.
    pub about: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $id:literal, $exit:ident, $about:literal;)*) => {
        /// The codes, by name.
        pub mod codes {
            use super::{Code, Exit};
            $(pub static $name: Code = Code { id: $id, exit: Exit::$exit, about: $about };)*
        }
        pub static ALL: &[&Code] = &[$(&codes::$name),*];
    };
}

catalogue! {
    // Keep each group together and sorted: the page is printed in this order.
    UNEXPECTED = "nixbox::unexpected", Unexpected, "Something failed that has no name yet. The message says what; please report it.";
    USAGE = "nixbox::usage", Usage, "The command line was not understood.";
    IO = "nixbox::io", Unexpected, "Reading or writing one of nixbox's own files failed. The message names the file.";

    CONFIG_MISSING = "nixbox::config::missing", Usage, "No `nixbox.toml` was found here or in any folder above. Run `nixbox-helper new plain`, or name one with `--config`.";
    CONFIG_UNREADABLE = "nixbox::config::unreadable", Usage, "The configuration file could not be read.";
    CONFIG_SYNTAX = "nixbox::config::syntax", Usage, "The file is not valid TOML, or JSON where its name ends in `.json`.";
    CONFIG_VERSION = "nixbox::config::version", Usage, "`version` is missing, or is one that this nixbox does not know.";
    CONFIG_UNKNOWN_KEY = "nixbox::config::unknown-key", Usage, "A key that nixbox does not know, often a typing error. The nearest known key is suggested.";
    CONFIG_TYPE = "nixbox::config::type", Usage, "A value has the wrong type, or is not one of the allowed words.";
    CONFIG_VALUE = "nixbox::config::value", Usage, "A value has the right type and is still not possible.";
    CONFIG_ENVIRONMENT = "nixbox::config::environment", Usage, "An environment variable that overrides the file holds something impossible.";
    CONFIG_ENV_NAME = "nixbox::config::env-name", Usage, "An `env` entry whose name no shell takes, or that nixbox, AgentFS or devenv sets itself.";
    CONFIG_SECRET = "nixbox::config::secret", Usage, "A secret stands in the file. Name a file that holds it instead.";
    CONFIG_INSTANCE_NAME = "nixbox::config::instance-name", Usage, "An instance name must match `[a-z0-9][a-z0-9_-]*` and be at most 63 characters long.";
    CONFIG_NAME_CLASH = "nixbox::config::name-clash", Usage, "Two instance names become the same `AGENTFS_<NAME>_` prefix.";
    CONFIG_DEFAULT_INSTANCE = "nixbox::config::default-instance", Usage, "`default_instance` names no enabled instance.";
    CONFIG_MOUNT_CLASH = "nixbox::config::mount-clash", Usage, "Two instances have one mountpoint.";
    CONFIG_MOUNT_NESTED = "nixbox::config::mount-nested", Usage, "A mountpoint lies inside the mount of another instance.";
    CONFIG_MOUNT_IS_FILE = "nixbox::config::mount-is-file", Usage, "A mountpoint exists and is not a folder.";
    CONFIG_MOUNT_COVERS = "nixbox::config::mount-covers", Usage, "A mountpoint would cover the project, the configuration, or nixbox's own data or runtime folder.";
    CONFIG_BASE_IN_MOUNT = "nixbox::config::base-in-mount", Usage, "A `base` is a mountpoint or lies below one: it would be read through the mount.";
    CONFIG_BASE_IN_DATA = "nixbox::config::base-in-data", Usage, "A `base` lies in the data folder or in the runtime folder.";
    CONFIG_NOT_WRITTEN = "nixbox::config::not-written", Usage, "The configuration file is made by Nix or may not be written, so a person has to change what makes it. Nothing was changed.";
    CONFIG_PORT_CLASH = "nixbox::config::port-clash", Usage, "Two instances listen on one address and port.";
    CONFIG_EXPOSED = "nixbox::config::exposed", Usage, "`http.bind` or `nfs.bind` is not a loopback address, or a remote on another machine is asked over plain `http`.";
    CONFIG_REMOTE = "nixbox::config::remote", Usage, "An instance is to be synced with a remote that is not declared.";
    CONFIG_ENGINE = "nixbox::config::engine", Usage, "The instance asks upstream's program, which is its `engine`, for something that this does not have.";
    CONFIG_SOCKET_PATH = "nixbox::config::socket-path", Usage, "The control socket's path is longer than the kernel allows (107 bytes). Choose a shorter `runtime_dir`.";
    CONFIG_SCHEDULE = "nixbox::config::schedule", Usage, "A schedule has no time or two, is never due, names no verb, or does not fit the rest.";
    CONFIG_JOB = "nixbox::config::job", Usage, "A job, or what it or an instance depends on, does not fit the rest: no such instance or job, one name for two, or some that wait for each other.";

    INSTANCE_AMBIGUOUS = "nixbox::instance::ambiguous", NotFound, "More than one name or id begins like the word that was given. The message lists them.";
    INSTANCE_CHANGED = "nixbox::instance::changed", Conflict, "What is in the instance is nowhere else, so it is not removed without `--force`. Nothing was removed.";
    INSTANCE_DECLARED = "nixbox::instance::declared", Refused, "The configuration declares the instance, so it is changed there and not by a verb.";
    INSTANCE_EXISTS = "nixbox::instance::exists", Conflict, "An instance or a job of that name is there already.";
    INSTANCE_UNKNOWN = "nixbox::instance::unknown", NotFound, "No instance of that name is declared.";
    INSTANCE_DISABLED = "nixbox::instance::disabled", NotFound, "The instance is declared with `enable = false`.";
    INSTANCE_NONE = "nixbox::instance::none", NotFound, "No instance is declared, or none is the default one. Name one.";

    OWNER_HELD = "nixbox::owner::held", Held, "Another owner serves this instance. The message names its pid and since when.";
    OWNER_MISSING = "nixbox::owner::missing", Unavailable, "The program `nixbox-owner` was not found beside `nixbox-helper`, by `NIXBOX_OWNER` or on PATH.";
    OWNER_NOT_RUNNING = "nixbox::owner::not-running", NotFound, "No owner serves this instance now. Start it with `nixbox-helper up` or `nixbox-helper serve NAME`.";
    OWNER_NOT_READY = "nixbox::owner::not-ready", TimedOut, "The instance did not become ready in time.";
    OWNER_EXITED = "nixbox::owner::exited", Unexpected, "An owner ended before its instance was ready. Its last lines are shown.";
    OWNER_SILENT = "nixbox::owner::silent", TimedOut, "The owner is there and did not answer in time.";
    OWNER_STOPPING = "nixbox::owner::stopping", Held, "The owner is about to end and takes no more requests. Ask again.";
    OWNER_GONE = "nixbox::owner::gone", Unexpected, "The owner ended in the middle of a request. What was acknowledged before is kept.";
    OWNER_RUNTIME_DIR = "nixbox::owner::runtime-dir", Unexpected, "The runtime folder could not be made, or belongs to somebody else.";

    UNIT_UNKNOWN = "nixbox::unit::unknown", NotFound, "No instance and no job of that name is declared, or `up` has not brought it up.";
    UNIT_FAILED = "nixbox::unit::failed", Unexpected, "A job ended badly or too often, was not well, or needs something that does not run. Its last lines are shown.";
    JOB_WATCH = "nixbox::unit::watch", Unexpected, "A job that is to be started anew at changes does not see all of them: the kernel gives this user no more watches. It runs all the same.";
    UNIT_NOT_READY = "nixbox::unit::not-ready", TimedOut, "A job was not ready, or had not ended, in the time that it had.";
    UNIT_LIMITS = "nixbox::unit::limits", Refused, "A limit could not be changed: it is an instance's, whose owner obeys none, or the kernel refuses it. Memory that is in use cannot always be taken back.";
    UNIT_NOT_RUNNING = "nixbox::unit::not-running", NotFound, "The job does not run now. Start it with `nixbox-helper up`.";
    UNIT_NOT_LOGGED = "nixbox::unit::not-logged", NotFound, "There are no logs: nothing of the project was kept up by `nixbox-helper up`.";
    SCHEDULE_UNKNOWN = "nixbox::schedule::unknown", NotFound, "No schedule of that name is declared, or none at all.";
    SCHEDULE_RUNNING = "nixbox::schedule::running", Held, "The schedule runs already, and its `overlap` is `skip`.";
    SCHEDULE_HELD = "nixbox::schedule::held", Held, "Another process keeps the times of this project's schedules. One at a time does.";
    SUPERVISOR_NOT_RUNNING = "nixbox::supervisor::not-running", NotFound, "Nothing keeps this project's instances and jobs up now. Start it with `nixbox-helper up`.";
    SUPERVISOR_NOT_RELOADED = "nixbox::supervisor::not-reloaded", Usage, "The configuration of what is kept up was written anew, with other folders for data or sockets. Take it down and bring it up.";
    SUPERVISOR_SILENT = "nixbox::supervisor::silent", TimedOut, "What keeps the project up is there and did not answer in time.";

    CONTROL_LINE_TOO_LONG = "nixbox::control::line-too-long", Usage, "A request on the control socket was longer than 64 KiB.";
    CONTROL_BODY_TOO_LONG = "nixbox::control::body-too-long", Usage, "A value, or what is recorded of a tool call, is longer than 16 MiB; or what `fs apply` is given is longer than 64 MiB or 100,000 operations. Files may be of any size.";
    CONTROL_MALFORMED = "nixbox::control::malformed", Usage, "A request on the control socket was not a JSON object with a `request`.";
    CONTROL_UNKNOWN_REQUEST = "nixbox::control::unknown-request", Unavailable, "The owner does not know the request. It is older or newer than the program that asked: restart it.";

    BASE_ANOTHER = "nixbox::base::another", Conflict, "A base was to be moved to a folder that has nothing of what was copied out of it. `--force` does it all the same. Nothing was changed.";
    BASE_MISSING = "nixbox::base::missing", NotFound, "The folder that `base` names is not there, or may not be entered. The database was left as it is.";
    BASE_NONE = "nixbox::base::none", NotFound, "The database lies over no folder, so there is none to relocate.";
    BASE_EXCLUDE = "nixbox::base::exclude", Usage, "A pattern in `exclude` is not possible.";

    COPY_EXISTS = "nixbox::copy::exists", Conflict, "What was to be copied would replace something, on the machine or in the instance. `--force` does. Nothing was changed.";
    COPY_INTO_BASE = "nixbox::copy::into-base", Refused, "The target of a copy lies in the folder that the instance lies over, and what an instance holds is written there by somebody's decision alone. `--force` is one. Nothing was changed.";

    DATABASE_MISSING = "nixbox::database::missing", NotFound, "The instance has no database yet. `nixbox-helper init` creates it, and so does bringing it up.";
    DATABASE_BUSY = "nixbox::database::busy", Held, "A program other than a nixbox owner has the database open, such as upstream's `agentfs mount`.";
    DATABASE_EXISTS = "nixbox::database::exists", Conflict, "A database lies where an ephemeral instance was to be saved. Nothing was changed.";
    DATABASE_FOREIGN = "nixbox::database::foreign", Refused, "The file is not an AgentFS database. nixbox leaves it as it is.";
    DATABASE_HOLDS_FILES = "nixbox::database::holds-files", Refused, "The instance has `mode = \"direct\"`, and its database holds files or changes that would not be seen.";
    DATABASE_OLD = "nixbox::database::old", Refused, "The database has a schema older than 0.4. `nixbox-helper migrate` brings it up to date, and keeps a copy.";
    DATABASE_NEWER = "nixbox::database::newer", Refused, "The database has a schema newer than 0.4, which this nixbox does not know.";
    DATABASE_NO_LOG = "nixbox::database::no-log", Unavailable, "The file holds no table and its `-wal` is missing: it was copied without it, or that was deleted. Upstream's programs would take it for a new database.";
    DATABASE_READ_ONLY = "nixbox::database::read-only", Unavailable, "This user may not write the database, or the folder that it is in.";
    DATABASE_NO_ROOM = "nixbox::database::no-room", Unavailable, "The disk has no room to open or to repair the database. It is left as it was.";
    DATABASE_ENCRYPTED = "nixbox::database::encrypted", Refused, "The database is encrypted, and the instance is declared without `encryption`. It was left as it is.";
    DATABASE_PLAIN = "nixbox::database::plain", Refused, "The instance is declared with `encryption`, and its database is not encrypted. `nixbox-helper rekey` encrypts it; until then it is left as it is.";
    DATABASE_CIPHER = "nixbox::database::cipher", Refused, "The database is encrypted with another cipher than `encryption.cipher` says. It was left as it is.";
    DATABASE_OVERLAY = "nixbox::database::overlay", Refused, "The database is an overlay over a folder, and the instance has no `base`.";
    DATABASE_BASE_MOVED = "nixbox::database::base-moved", Refused, "The database is an overlay over another folder than `base` names. The message names both; `nixbox-helper instance relocate` says that it was moved.";
    DATABASE_DAMAGED = "nixbox::database::damaged", Unavailable, "SQLite says that the file is damaged. `nixbox-helper fsck` says more.";
    DATABASE_FAILED = "nixbox::database::failed", Unavailable, "The database could not be opened or created.";

    EXEC_FAILED = "nixbox::exec::failed", Unexpected, "The command could not be started. Its folder may be missing inside the instance. `exec` ends with 125.";
    EXEC_MISSING = "nixbox::exec::missing", NoSuchCommand, "The command was not found.";
    EXEC_NOT_EXECUTABLE = "nixbox::exec::not-executable", NotExecutable, "The command was found and cannot be executed.";
    EXEC_OUT_OF_MEMORY = "nixbox::exec::out-of-memory", Unexpected, "The command, or something that it had started, needed more memory than `limits.memory` or `--memory` gives it, and the kernel killed it. `exec` and `job` end with the command's own code.";
    EXEC_TIMED_OUT = "nixbox::exec::timed-out", TimedOut, "The command took longer than `--timeout` or `limits.timeout`, and was ended. `exec` and `job` end with 125.";
    EXEC_USER = "nixbox::exec::user", Refused, "The command cannot be run as the user that `--user` names. `exec` ends with 125.";

    ARCHIVE_BROKEN = "nixbox::archive::broken", Usage, "What was to be imported is no tar archive, or not all of one. Nothing of it was kept.";
    ARCHIVE_REFUSED = "nixbox::archive::refused", Refused, "An archive holds what would lead out of the instance, a device, or a name twice. Nothing of it was kept.";

    EXPORT_EXISTS = "nixbox::export::exists", Conflict, "The target of an export is there already, and not empty. `--force` replaces it.";
    IMPORT_MISSING = "nixbox::import::missing", NotFound, "What was to be imported is not there.";

    KEY_COMMAND = "nixbox::key::command", Refused, "`encryption.key_command` could not be run, failed, or printed no key. The database was not touched.";
    KEY_EXPOSED = "nixbox::key::exposed", Refused, "The file with the key can be read by every user of the machine. `chmod 600` closes it.";
    KEY_INVALID = "nixbox::key::invalid", Refused, "What was found is no key for the cipher: it takes 64 hexadecimal digits, or 32 for a cipher with 128 in its name. The database was not touched.";
    KEY_MISSING = "nixbox::key::missing", Refused, "The file that holds the key cannot be read, or the variable is not set. The database was not touched.";
    KEY_SILENT = "nixbox::key::silent", TimedOut, "`encryption.key_command` did not end within ten seconds. It was killed, and the database was not touched.";
    KEY_WRONG = "nixbox::key::wrong", Refused, "The key is not the one that the database was encrypted with. It was left as it is.";

    FILE_EXISTS = "nixbox::file::exists", Conflict, "Something lies at that path already. Nothing was changed.";
    FILE_FAILED = "nixbox::file::failed", Unavailable, "The database could not do it. The message says why.";
    FILE_IN_PLACE = "nixbox::file::in-place", Usage, "The instance has `mode = \"direct\"`, and a real folder cannot be changed all or not at all.";
    FILE_KIND = "nixbox::file::kind", Usage, "What lies at that path is of another kind: a folder where a file is needed, or the other way round.";
    FILE_LAYER = "nixbox::file::layer", Usage, "`--layer` shows one layer of an overlay; the instance has no base, or `mode = \"direct\"`.";
    FILE_LIMIT = "nixbox::file::limit", Unavailable, "The instance holds as much as its `limits` allow. Nothing was changed.";
    FILE_LOOP = "nixbox::file::loop", Usage, "Symbolic links lead in a circle, or through more than forty of them.";
    FILE_MISSING = "nixbox::file::missing", NotFound, "The instance has no file at that path.";
    FILE_NAME = "nixbox::file::name", Usage, "A name that no file of the instance can have: empty, too long, or not UTF-8.";
    FILE_NO_ROOM = "nixbox::file::no-room", Unavailable, "The disk that holds the database is full. Nothing was changed.";
    FILE_NOT_EMPTY = "nixbox::file::not-empty", Conflict, "The folder is not empty. Nothing was changed.";
    FILE_OPERATION = "nixbox::file::operation", Usage, "A line of what `fs apply` was given is no operation. Nothing was changed.";
    FILE_PATTERN = "nixbox::file::pattern", Usage, "A glob pattern that is not one.";
    FILE_READ_ONLY = "nixbox::file::read-only", Refused, "The instance is declared with `mount.read_only`; nothing changes it.";

    KV_CLASH = "nixbox::kv::clash", Conflict, "An import brings a key that has another value already. Nothing was changed.";
    KV_MISSING = "nixbox::kv::missing", NotFound, "No value is stored under that key.";
    KV_VALUE = "nixbox::kv::value", Usage, "The value is not JSON. Plain text is stored with `--string`.";

    TOOL_FINISHED = "nixbox::tool::finished", Conflict, "The tool call has its outcome already, and keeps it.";
    TOOL_MISSING = "nixbox::tool::missing", NotFound, "No tool call has that number.";
    TOOL_VALUE = "nixbox::tool::value", Usage, "Parameters or a result that are not JSON.";

    MOUNT_NO_FUSE = "nixbox::mount::no-fuse", Unavailable, "`/dev/fuse` is missing or may not be opened.";
    MOUNT_NO_NFS = "nixbox::mount::no-nfs", Unavailable, "The kernel's client of NFS is not there, or may not be used: only root can mount by it.";
    MOUNT_NO_FUSERMOUNT = "nixbox::mount::no-fusermount", Unavailable, "`fusermount3` is not installed; users other than root need it.";
    MOUNT_BUSY = "nixbox::mount::busy", Conflict, "The mountpoint is a mount already.";
    MOUNT_STALE = "nixbox::mount::stale", Conflict, "A dead mount lies at the mountpoint and could not be removed.";
    MOUNT_NOT_EMPTY = "nixbox::mount::not-empty", Conflict, "The mountpoint holds files, which the mount would hide.";
    MOUNT_MISSING = "nixbox::mount::missing", NotFound, "The mountpoint does not exist and `mount.create` is off.";
    MOUNT_NOT_A_FOLDER = "nixbox::mount::not-a-folder", Usage, "The mountpoint is not a folder.";
    MOUNT_ALLOW_OTHER = "nixbox::mount::allow-other", Refused, "`allow_other` and `allow_root` need `user_allow_other` in /etc/fuse.conf, or root.";
    MOUNT_NOT_MOUNTED = "nixbox::mount::not-mounted", NotFound, "Nothing of nixbox is mounted there.";
    MOUNT_IN_USE = "nixbox::mount::in-use", Conflict, "A program still has a file open or its working folder in the mount.";
    MOUNT_FAILED = "nixbox::mount::failed", Unavailable, "The system refused the mount.";

    MCP_ARGUMENTS = "nixbox::mcp::arguments", Usage, "A tool was called with arguments that it does not take.";
    MCP_NOT_ALLOWED = "nixbox::mcp::not-allowed", Refused, "`mcp.tools` does not allow the tool.";
    MCP_NOT_TEXT = "nixbox::mcp::not-text", Usage, "What was to be read is not text. `base64` is for everything.";
    MCP_TOO_LARGE = "nixbox::mcp::too-large", Refused, "A resource that is too large for one answer. `read_file` reads it in parts.";

    HTTP_BIND = "nixbox::http::bind", Unavailable, "The HTTP address is taken or not possible.";
    HTTP_OFF = "nixbox::http::off", NotFound, "The instance has no HTTP surface. A table `[instances.NAME.http]` gives it one.";

    NFS_BIND = "nixbox::nfs::bind", Unavailable, "The address for NFS is taken or not possible.";

    UPSTREAM_MISSING = "nixbox::upstream::missing", Unavailable, "The instance has `engine = \"agentfs\"`, and upstream's program was not found by `NIXBOX_AGENTFS`, `agentfs_program` or on PATH.";
    UPSTREAM_ENDED = "nixbox::upstream::ended", Unavailable, "Upstream's program ended by itself. Its last lines are shown.";
    UPSTREAM_SILENT = "nixbox::upstream::silent", TimedOut, "Upstream's program was started and did not serve in time.";
    UPSTREAM_ALONE = "nixbox::upstream::alone", Held, "Upstream's program has the database, and lets nobody else at it. Stop the instance first, or give it `engine = \"builtin\"`.";
    UPSTREAM_NUMBERS = "nixbox::upstream::numbers", Refused, "The database lacks what keeps upstream's program from using the number of a removed file again, which over a base shows files where there are none.";
    UPSTREAM_BASE = "nixbox::upstream::base-too-large", Refused, "The base has more entries than upstream's program may have files open.";

    HOOK_FAILED = "nixbox::hook::failed", Unexpected, "A command of `hooks` failed, did not end in time, or could not be run. What it was to hear of happened all the same.";

    RENDER_CANNOT = "nixbox::render::cannot", Usage, "The process manager that `render` writes for has no words for something that is declared. The message names it, and nothing is written.";

    RUN_BIND = "nixbox::run::bind", Usage, "What `-v` names is not there, is of another kind than what it is to cover, or cannot be shown without the right to make mount namespaces. `run` ends with 125.";
    RUN_PORT = "nixbox::run::port", Held, "Something on this machine listens on the port that `-p` names. `run` ends with 125.";

    SNAPSHOT_UNKNOWN = "nixbox::snapshot::unknown", NotFound, "The instance has no snapshot of that name.";

    REMOTE_BACKUP = "nixbox::remote::backup", Unavailable, "A backup could not be made: whoever serves the remote did not hold it for as long as the copy took. What was copied is removed.";
    REMOTE_BIND = "nixbox::remote::bind", Unavailable, "The port of a served remote is taken, or not possible.";
    REMOTE_ENDED = "nixbox::remote::ended", Unavailable, "`tursodb` ended again and again, or did not answer. Its last lines are shown; the database is as it left it.";
    REMOTE_EXISTS = "nixbox::remote::exists", Conflict, "Something lies already where a backup is to be put, or where one is to be restored. It was left as it is.";
    REMOTE_HELD = "nixbox::remote::held", Held, "Another process serves the remote, or works on its files. The message names it.";
    REMOTE_NOT_READY = "nixbox::remote::not-ready", TimedOut, "The served remote does not answer yet, or not any more.";
    REMOTE_NOT_RUNNING = "nixbox::remote::not-running", NotFound, "Nobody serves the remote now. `nixbox-helper remote serve NAME` or `nixbox-helper up` does.";
    REMOTE_NOT_SERVED = "nixbox::remote::not-served", NotFound, "The remote is declared without `serve`: it is somebody else's.";
    REMOTE_NOTHING = "nixbox::remote::nothing", NotFound, "The remote has no database yet, or what was named is no backup of one.";
    REMOTE_PROGRAM = "nixbox::remote::program", Unavailable, "`tursodb`, which serves remotes, was not found or cannot be started. npm has it as `@tursodatabase/cli-linux-x64-gnu`.";
    REMOTE_UNKNOWN = "nixbox::remote::unknown", NotFound, "No remote of that name is declared.";

    SYNC_BUSY = "nixbox::sync::busy", Held, "The owner is at another sync of this instance. Ask again when it is done.";
    SYNC_CALLED_OFF = "nixbox::sync::called-off", Unexpected, "The sync was called off before it changed anything: whoever asked for it has left, or the owner stops.";
    SYNC_CONFLICT = "nixbox::sync::conflict", Conflict, "Both sides changed something, each in its own way. Nothing was changed; `nixbox-helper sync conflicts` lists it, and `sync resolve` settles it.";
    SYNC_FAILED = "nixbox::sync::failed", Unavailable, "The instance, or the copy that is kept of its remote, could not be worked on. The message says why.";
    SYNC_FOREIGN = "nixbox::sync::foreign", Refused, "The remote holds something that is no AgentFS database of version 0.4. It was left as it is.";
    SYNC_GONE = "nixbox::sync::gone", Conflict, "What is to be pushed has content that was never loaded here, and that the remote has no more. Nothing was changed.";
    SYNC_HIDDEN = "nixbox::sync::hidden", Conflict, "The remote has something at a path that this instance leaves out of its view. Nothing was changed.";
    SYNC_KIND = "nixbox::sync::kind", Conflict, "One of the two, the instance or what the remote holds, lies over a base and the other does not. Nothing was changed.";
    SYNC_LEASE = "nixbox::sync::lease", Held, "Another machine has the remote's lease. The message names it, and since when.";
    SYNC_NOT_KEPT = "nixbox::sync::not-kept", Refused, "What is here could not be kept as a snapshot before it would have given way. Nothing was changed.";
    SYNC_NOT_ALLOWED = "nixbox::sync::not-allowed", Refused, "The remote wants a token, or does not take the one that it was sent.";
    SYNC_NOT_DECLARED = "nixbox::sync::not-declared", NotFound, "The instance is declared without `sync`.";
    SYNC_NOT_LOADED = "nixbox::sync::not-loaded", Unavailable, "The content of a file is at the remote, and did not come from there. The message says why; what is here goes on.";
    SYNC_NOT_EMPTY = "nixbox::sync::not-empty", Conflict, "The remote holds something already. Nothing was changed; `sync enable --merge` brings both together.";
    SYNC_NO_CONFLICT = "nixbox::sync::no-conflict", NotFound, "Nothing at that path is in conflict.";
    SYNC_NOT_HELD = "nixbox::sync::not-held", NotFound, "The remote's lease is not this instance's, so there is nothing to give back.";
    SYNC_OLDER = "nixbox::sync::older", Conflict, "The remote was put back to an older state than was seen here, so what it lacks was not taken away by anybody. Nothing was changed; `sync take` takes it as it is, `sync push --again` puts there what is here.";
    SYNC_OVERTAKEN = "nixbox::sync::overtaken", Conflict, "One of the two sides was changed again and again while they were brought together. Nothing was lost; try again.";
    SYNC_PENDING = "nixbox::sync::pending", Conflict, "Not everything in the instance is on its remote, so it is not given up without `--force`.";
    SYNC_READ_ONLY = "nixbox::sync::read-only", Refused, "A synced instance that may not be written now: it follows, its lease is another's or has run out, what the remote has is not here yet, or nobody serves it. What is here is kept; `nixbox-helper sync status` says how to go on.";
    SYNC_REFUSED = "nixbox::sync::refused", Unavailable, "The remote answers with an error, something else than a Turso database, or a redirect. Nothing was changed there.";
    SYNC_TOKEN = "nixbox::sync::token", Refused, "The token for the remote could not be had from where the configuration says.";
    SYNC_UNKNOWN = "nixbox::sync::unknown", Unavailable, "A push went out and no answer came. The next sync finds out what came of it; nothing is lost.";
    SYNC_UNREACHABLE = "nixbox::sync::unreachable", Unavailable, "The remote does not answer: no such host, nothing listens, no trusted certificate, or silence.";

    TEMPLATE_UNKNOWN = "nixbox::template::unknown", NotFound, "No template has that name.";
    TEMPLATE_OCCUPIED = "nixbox::template::occupied", Conflict, "The template would overwrite files that exist. Nothing was written.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice() {
        let mut ids: Vec<_> = ALL.iter().map(|code| code.id).collect();
        ids.sort_unstable();
        let before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), before);
    }
}
