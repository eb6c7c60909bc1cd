//! The one list of environment variables. The reference page is made from it.

/// Which way a variable goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Set by `nixbox-helper env` and by the Nix modules.
    Exported,
    Read,
    Both,
}

/// Whose name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// nixbox gives it its meaning.
    Ours,
    /// It keeps the meaning that AgentFS, devenv or the system gave it.
    Upstream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// There is one for each instance as well, `AGENTFS_<NAME>_…`.
    pub per_instance: bool,
    pub direction: Direction,
    pub owner: Owner,
    pub about: &'static str,
}

macro_rules! registry {
    ($($name:ident: $per_instance:literal, $direction:ident, $owner:ident, $about:literal;)*) => {
        pub static REGISTRY: &[Variable] = &[$(Variable {
            name: stringify!($name),
            per_instance: $per_instance,
            direction: Direction::$direction,
            owner: Owner::$owner,
            about: $about,
        }),*];
    };
}

registry! {
    AGENTFS_ENABLED: true, Exported, Ours, "`1` where the instance is declared and enabled.";
    AGENTFS_ID: true, Exported, Ours, "The instance's name.";
    AGENTFS_DATA_DIR: true, Both, Ours, "Where the databases live. Read, it overrides `data_dir`; a relative path starts at the project root.";
    AGENTFS_DB_NAME: true, Exported, Ours, "The file name of the database.";
    AGENTFS_DB: true, Exported, Ours, "The path of the database.";
    AGENTFS_MOUNT: true, Exported, Ours, "The mountpoint; only where the instance is mounted.";
    AGENTFS_HOST: true, Exported, Ours, "The address of the HTTP surface; only where it has one and its port is known.";
    AGENTFS_PORT: true, Exported, Ours, "The port of the HTTP surface, likewise.";
    AGENTFS_URL: true, Exported, Ours, "`http://HOST:PORT`, likewise.";
    AGENTFS_NFS: true, Exported, Ours, "`HOST:PORT` of the instance over NFS; only where it is served and its port is known.";
    AGENTFS_SOCKET: true, Exported, Ours, "The owner's control socket.";
    AGENTFS_TOKEN_FILE: true, Exported, Ours, "The file that holds the bearer token of the HTTP surface; only where it has one.";
    AGENTFS_LOG_LEVEL: true, Both, Ours, "`error`, `warn`, `info`, `debug` or `trace`. Read, it overrides `log_level`.";
    AGENTFS_EXTRA_ARGS: false, Read, Ours, "Read by the script `agentfs-cli` alone: put before its own arguments.";
    NIXBOX_CONFIG: false, Both, Ours, "The configuration file, where `--config` names none.";
    NIXBOX_ROOT: false, Read, Ours, "The project root, where `--root` names none.";
    NIXBOX_OWNER: false, Read, Ours, "The program `nixbox-owner`, where it does not lie beside `nixbox-helper`.";
    NIXBOX_AGENTFS: false, Read, Ours, "Upstream's program, for instances with `engine = \"agentfs\"`. It overrides `agentfs_program`.";
    NIXBOX_LOG_FORMAT: false, Read, Ours, "`human` or `json`: how an owner writes its log.";

    AGENTFS: false, Read, Upstream, "Set to `1` by `agentfs run` in the shells it opens.";
    AGENTFS_SANDBOX: false, Read, Upstream, "The kind of sandbox that `agentfs run` opened this shell in.";
    AGENTFS_SESSION: false, Read, Upstream, "The session of `agentfs run` that this shell belongs to.";
    AGENTFS_KEY: false, Read, Upstream, "The encryption key that the `agentfs` command reads. A secret.";
    AGENTFS_CIPHER: false, Read, Upstream, "The cipher that goes with `AGENTFS_KEY`.";
    TURSO_DB_AUTH_TOKEN: false, Read, Upstream, "The token that the `agentfs` command syncs with, and nixbox where a remote names none of its own. A secret.";

    DEVENV_ROOT: false, Read, Upstream, "The project root, where the configuration lies in the Nix store. Only while it is this project's does nixbox heed the next two.";
    DEVENV_STATE: false, Read, Upstream, "`data_dir` is `$DEVENV_STATE/agentfs` where nothing else is said.";
    DEVENV_RUNTIME: false, Read, Upstream, "`runtime_dir` is `$DEVENV_RUNTIME/agentfs` where nothing else is said.";
    XDG_RUNTIME_DIR: false, Read, Upstream, "Sockets go to a folder below `nixbox` in it, where neither the file nor devenv names one.";
    NOTIFY_SOCKET: false, Read, Upstream, "Where an owner says that it is ready, as systemd and devenv ask for.";
    NO_COLOR: false, Read, Upstream, "Set to anything, nothing is coloured.";
}

/// Why a configuration may not set this variable for its users.
pub(crate) fn not_for_users(name: &str) -> Option<&'static str> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    if !name.bytes().next().is_some_and(first) || !name.bytes().all(|b| first(b) || b.is_ascii_digit()) {
        return Some("a variable's name has letters, digits and _, and begins with no digit");
    }
    if name.starts_with("AGENTFS_") || name.starts_with("NIXBOX_") {
        return Some("names that begin with AGENTFS_ or NIXBOX_ are set by nixbox itself");
    }
    let upstream = |variable: &&Variable| variable.owner == Owner::Upstream && variable.name != "NO_COLOR";
    REGISTRY
        .iter()
        .filter(upstream)
        .any(|variable| variable.name == name)
        .then_some("AgentFS, devenv or the system sets it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_an_instance_can_make_one_variable_of_two() {
        let suffixes: Vec<_> =
            REGISTRY.iter().filter(|v| v.per_instance).filter_map(|v| v.name.strip_prefix("AGENTFS_")).collect();
        for all in REGISTRY.iter().filter_map(|v| v.name.strip_prefix("AGENTFS_")) {
            for suffix in &suffixes {
                // AGENTFS_<NAME>_<SUFFIX> would be AGENTFS_<ALL> for the instance in front of the suffix.
                assert!(!all.ends_with(&format!("_{suffix}")), "{all} ends with {suffix}");
            }
        }
    }

    #[test]
    fn names_are_refused_that_a_shell_or_nixbox_could_not_keep() {
        for name in
            ["", "1A", "A-B", "Ä", "AGENTFS_X", "NIXBOX_CONFIG", "AGENTFS", "TURSO_DB_AUTH_TOKEN", "DEVENV_ROOT"]
        {
            assert!(not_for_users(name).is_some(), "{name}");
        }
        for name in ["A", "_", "pip_cache_dir", "NO_COLOR", "PATH"] {
            assert!(not_for_users(name).is_none(), "{name}");
        }
    }
}
