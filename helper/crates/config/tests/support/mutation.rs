//! Damaged configuration files, the same ones on every run. Needs nothing but std, so that a test of another crate
//! can include this file by its path.

/// A file that uses every key, and is valid.
pub const WHOLE: &str = r#"version = 1
data_dir = ".agentfs"
runtime_dir = "/tmp/nb"
agentfs_program = "bin/agentfs"
default_instance = "sandbox"
log_level = "info"

[remotes.team]
url = "libsql://team.example.org"
token_file = "/run/keys/team"
insecure = false

[remotes.home]
url = "http://127.0.0.1:8080"
token_command = ["pass", "show", "home"]

[remotes.home.serve]
enable = true
port = 8080
program = "bin/tursodb"
hosts = ["sync.example.org"]
wal_alarm = "2GiB"

[remotes.lan]
url = "http://10.0.0.7/agents"
token_env = "LAN_TOKEN"
insecure = true

[instances.sandbox]
enable = true
description = "scratch space for the code agent"
engine = "builtin"
base = "src"
exclude = ["target", "/dist/*.js"]
mode = "overlay"

[instances.sandbox.depends_on]
seed = "completed"

[instances.sandbox.restart]
on = "on-failure"
max = 3
window = "2min"

[instances.sandbox.restart.backoff]
min = "100ms"
max = "10s"
factor = 3

[instances.sandbox.health]
exec = ["test", "-e", "ok"]
interval = "30s"
timeout = "2s"
retries = 2
start_period = "10s"

[instances.sandbox.limits]
size = "2GiB"
files = 100000
cpu = 1.5
memory = "1GiB"
pids = 200
timeout = "10min"

[instances.sandbox.labels]
team = "search"
"odd name" = "ü"

[instances.sandbox.env]
PIP_CACHE_DIR = "/tmp/pip"

[instances.sandbox.mount]
path = ".agentfs/mnt"
backend = "auto"
read_only = false
allow_root = false
allow_other = false
uid = 1000
gid = 1000
create = true

[instances.sandbox.http]
bind = "127.0.0.1"
port = 7420
expose = false
hosts = ["box.example.org"]

[instances.sandbox.mcp]
tools = ["read_file", "kv_get"]

[instances.sandbox.nfs]
enable = true
bind = "127.0.0.1"
port = 2049
expose = false

[instances.sandbox.encryption]
cipher = "aes256gcm"
key_file = "/run/keys/sandbox"

[instances.second]
mount = { backend = "none", path = "second" }
http = { port = 0 }
nfs = { enable = false }
encryption = { key_command = ["pass", "show", "second"] }

[instances.third]
mount = { path = "third" }
encryption = { key_env = "THIRD_KEY" }

[instances.fourth]
mount = { path = "fourth" }

[instances.fourth.sync]
remote = "team"
mode = "periodic"
interval = "5min"
pull_on_start = true
push_on_stop = true
offline = "allow"
lease = "2min"

[instances.fifth]
mount = { path = "fifth" }
sync = { remote = "team", mode = "real-time", debounce = "500ms" }

[instances.sixth]
mount = { path = "sixth" }
sync = { remote = "team", partial = { prefetch = true, segment_size = "64KiB", bootstrap_query = "SELECT 1", bootstrap_length = "1MiB" } }
health = { http = "http://127.0.0.1:8080/healthz" }

[jobs.worker]
enable = true
instance = "sandbox"
exec = ["make", "watch"]
cwd = "src"
user = "nobody:nogroup"
stdin = "input.txt"

[jobs.worker.env]
LEVEL = "3"

[jobs.worker.depends_on]
second = "ready"
third = "started"

[jobs.worker.restart]
on = "unless-stopped"
max = 10
window = "30s"
backoff = { min = "1s", max = "1min", factor = 2 }

[jobs.worker.health]
http = "http://127.0.0.1:8080/healthz"
interval = "1s"
timeout = "500ms"
retries = 5
start_period = "3s"

[jobs.worker.watch]
paths = ["src", "Cargo.toml"]
ignore = ["target/", "*.log"]
debounce = "200ms"

[jobs.worker.log]
max_size = "1MiB"
keep = 2

[jobs.worker.limits]
cpu = 2
memory = "512MiB"
pids = 50
timeout = "1h"

[jobs.seed]
instance = "second"
exec = ["./seed"]
restart = { on = "never" }
health = { exec = ["true"] }

[schedules.nightly]
enable = true
cron = "0 3 * * mon-fri"
timezone = "UTC"
exec = ["make", "index"]
instance = "sandbox"
overlap = "queue"
jitter = "10min"
catch_up = true

[schedules.once]
at = "2026-11-21T06:45:00Z"
run = ["status"]

[instances.fourth.hooks]
sync = [["notify-send", "synced"], ["true"]]
conflict = [["mail", "-s", "conflict", "me"]]
created = [["touch", "created"]]
ready = [["touch", "ready"]]
unhealthy = [["touch", "unhealthy"]]
restarted = [["touch", "restarted"]]
stopped = [["touch", "stopped"]]
exec = [["touch", "ran"]]
snapshot = [["touch", "kept"]]
"#;

/// Marsaglia's xorshift: one seed, one file, forever.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

const VALUES: [&str; 24] = [
    "",
    "0",
    "-1",
    "65536",
    "4294967295",
    "99999999999999999999",
    "1.5",
    "nan",
    "true",
    "\"\"",
    "\"x\"",
    "\"..\"",
    "\"/\"",
    "\"~/x\"",
    "\"a\\u0000b\"",
    "[]",
    "[1, \"x\"]",
    "{}",
    "{ a = 1 }",
    "1979-05-27",
    "'",
    "\"\"\"",
    "maybe",
    "\"0.0.0.0\"",
];
const KEYS: [&str; 12] =
    ["base", "readOnly", "mount", "port", "verison", "Path", "\"\"", "a.b.c", "instances", "[", "=", "enable.x"];
const BYTES: [&[u8]; 12] =
    [b"\0", b"\xff", b"\xc3", b"\r", b"\"", b"'", b"[", b"]", b"=", b"\n", b"#", "\u{2028}".as_bytes()];

/// `WHOLE` with one to three damages. Some seeds do no harm.
pub fn mutated(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut text = WHOLE.as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        text = damage(text, &mut dice);
    }
    text
}

fn damage(text: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (at, other) = (dice.below(lines.len()), dice.below(lines.len()));
    let join = |lines: Vec<Vec<u8>>| lines.join(&b'\n');
    match dice.below(10) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at].clone()),
        2 => lines.swap(at, other),
        // Another value
        3 | 4 => {
            if let Some(equals) = lines[at].iter().position(|byte| *byte == b'=') {
                lines[at].truncate(equals + 1);
                lines[at].extend(dice.of(&VALUES).bytes());
            }
        }
        // Another key
        5 => {
            let rest = lines[at].iter().position(|byte| *byte == b'=').map(|equals| lines[at].split_off(equals));
            lines[at] = dice.of(&KEYS).bytes().chain(rest.unwrap_or_else(|| b"= 1".to_vec())).collect();
        }
        // A typing error
        6 => {
            let column = dice.below(lines[at].len());
            if !lines[at].is_empty() {
                let letter = lines[at].remove(column);
                if dice.below(2) == 0 {
                    lines[at].insert(column / 2, letter.to_ascii_uppercase());
                }
            }
        }
        7 => {
            let mut text = text;
            let column = dice.below(text.len());
            text.splice(column..column, dice.of(&BYTES).iter().copied());
            return text;
        }
        8 => {
            let mut text = text;
            text.truncate(dice.below(text.len()));
            return text;
        }
        // Much of one thing
        _ => {
            let piece = dice.of(&["[", "{a=", "a.", "\"", "#", "[[a]]\n"]);
            lines.insert(at, piece.repeat(1 + dice.below(500)).into_bytes());
        }
    }
    join(lines)
}
