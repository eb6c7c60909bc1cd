//! What a sync says, as the failures that people and programs know.

use nixbox_remote::{Error as Remote, Standing};
use nixbox_report::{Failure, Report, codes};
use nixbox_sync::{Conflict, Error};

use super::Syncing;
use crate::failure;

/// How many conflicts a message names.
const NAMED: usize = 5;

impl Syncing {
    pub(super) fn failed(&self, error: Error) -> Report {
        match error {
            Error::Remote(error) => self.of_remote(error).into(),
            Error::Conflicts(conflicts) => conflicting(&conflicts).into(),
            Error::CalledOff => {
                Failure::new(&codes::SYNC_CALLED_OFF, format!("the sync with `{}` was called off", self.name))
                    .why("whoever asked for it has left, or the owner stops; nothing was changed")
                    .help("ask again")
                    .into()
            }
            Error::NotKept(why) => {
                let what = format!("what `{}` holds could not be kept before it would have given way", self.instance);
                Failure::new(&codes::SYNC_NOT_KEPT, what)
                    .why(why)
                    .help("make room for a snapshot and try again; nothing was changed")
                    .into()
            }
            Error::Moved | Error::Overtaken => {
                Failure::new(&codes::SYNC_OVERTAKEN, format!("`{}` was not synced with `{}`", self.instance, self.name))
                    .why(error)
                    .help("nothing was lost; try again when less is going on")
                    .into()
            }
            error @ Error::Older { .. } => {
                let what = format!("the remote `{}` is older than what was last synced here", self.name);
                Failure::new(&codes::SYNC_OLDER, what)
                    .why(format!("it was put back to an earlier state: {error}; nothing was changed"))
                    .help("take it as it is with `nixbox-helper sync take`, while the instance is served, which keeps what is here as a snapshot first; or put there what is here with `nixbox-helper sync push --again`")
                    .into()
            }
            Error::Unknown(error) => {
                Failure::new(&codes::SYNC_UNKNOWN, format!("it is not known what came of the push to `{}`", self.name))
                    .why(error)
                    .help("run `nixbox-helper sync push` again: it looks first, and pushes only what is not there yet")
                    .into()
            }
            error @ Error::Kind { .. } => Failure::new(
                &codes::SYNC_KIND,
                format!("`{}` and the remote `{}` are of two kinds", self.instance, self.name),
            )
            .why(error)
            .help("instances that share a remote all lie over a `base`, or none does: name another remote")
            .into(),
            Error::Hidden(path) => Failure::new(
                &codes::SYNC_HIDDEN,
                format!("the remote `{}` has `/{path}`, which nobody could see here", self.name),
            )
            .why("the instance's `exclude` leaves it out, or its mountpoint or state lies there")
            .help("leave it out on every machine that shares the remote, or on none")
            .into(),
            Error::Foreign(why) => {
                Failure::new(&codes::SYNC_FOREIGN, format!("the remote `{}` holds something else", self.name))
                    .why(why)
                    .help("name an empty database, or one that AgentFS 0.6 or nixbox has written")
                    .into()
            }
            Error::Gone(_) => {
                Failure::new(&codes::SYNC_GONE, format!("`{}` was not pushed to `{}`", self.instance, self.name))
                    .why(error)
                    .help("remove that file, or take it from a snapshot; nothing else was lost")
                    .into()
            }
            Error::Engine(error) => failure::working(error),
            Error::Io(error) => failure::io(&self.folder, &error).into(),
            error => {
                Failure::new(&codes::SYNC_FAILED, format!("`{}` was not synced with `{}`", self.instance, self.name))
                    .why(error)
                    .help(format!(
                        "remove {}, which is only a copy of the remote, and try again",
                        self.folder.display()
                    ))
                    .into()
            }
        }
    }

    pub(super) fn is_held(&self, standing: &Standing) -> Failure {
        let left = standing.left.map_or_else(String::new, |left| format!("; it runs out in {} s", left.as_secs()));
        Failure::new(&codes::SYNC_LEASE, format!("the lease of `{}` is {standing}", self.name))
            .why(format_args!("one machine writes to a remote at a time{left}"))
            .help("wait for it, or take it away with `nixbox-helper sync take --force`; what is here is kept, and `sync pull` and `sync.mode = \"follow\"` work meanwhile")
    }

    fn of_remote(&self, error: Remote) -> Failure {
        let (name, address) = (&self.name, &self.declared.address);
        match &error {
            Remote::Unreachable(_) | Remote::Silent { .. } | Remote::BrokenOff(_) => {
                Failure::new(&codes::SYNC_UNREACHABLE, format!("the remote `{name}` at {address} does not answer"))
                    .why(error)
                    .help("see that it runs and that its `url` is right; what is here is kept")
            }
            Remote::NotAllowed { token, .. } => {
                let help = match token {
                    true => "the token may have run out, or be for another database: get a new one",
                    false => "none was sent: set `token_file`, `token_command` or `token_env`, or TURSO_DB_AUTH_TOKEN",
                };
                let what = format!("the remote `{name}` at {address} does not let us in");
                Failure::new(&codes::SYNC_NOT_ALLOWED, what).why(error).help(help)
            }
            Remote::Token => Failure::new(&codes::SYNC_TOKEN, format!("the token for the remote `{name}` is no token"))
                .why(error)
                .help("it is one line of letters, digits and signs"),
            Remote::Lost(Some(standing)) => self.is_held(standing),
            _ => Failure::new(&codes::SYNC_REFUSED, format!("the remote `{name}` at {address} cannot be used"))
                .why(error)
                .help("see that its `url` names a Turso or libSQL database"),
        }
    }
}

fn conflicting(conflicts: &[Conflict]) -> Failure {
    let named: Vec<_> = conflicts.iter().take(NAMED).map(|conflict| conflict.key.to_string()).collect();
    let more = conflicts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = match conflicts.len() {
        1 => "one thing was changed on both sides".to_owned(),
        many => format!("{many} things were changed on both sides"),
    };
    Failure::new(&codes::SYNC_CONFLICT, what).why(format!("{}{more}", named.join(", "))).help(
        "see them with `nixbox-helper sync conflicts`, and settle each with `sync resolve PATH --ours`, `--theirs` or `--both`",
    )
}
