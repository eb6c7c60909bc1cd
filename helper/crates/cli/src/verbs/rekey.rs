use std::path::{PathBuf, absolute};
use std::process::{Command, Stdio};

use nixbox_config::{Cipher, Instance};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DONE;
use crate::context::Context;
use crate::{owner_binary, presence, select};

/// Write an instance's database anew with another key or cipher, or encrypt one that is plain
///
/// A new file is written beside the old one, read back and compared, and only then put in its place: whoever is killed
/// leaves one whole database. The old key is the one that the instance is declared with; the new one is read from a
/// file, a command or a variable, never from the command line. Without any of them a plain database gets the key that
/// is declared. Not while an owner serves the instance.
#[derive(Debug, clap::Args)]
#[command(
    alias = "encrypt",
    after_help = "Examples:\n  nixbox-helper rekey sandbox --new-key-file ~/keys/sandbox-2025\n  nixbox-helper rekey sandbox --cipher aes256gcm      # the same key, another cipher\n  nixbox-helper rekey sandbox                         # plain, and declared with `encryption`\n  nixbox-helper rekey sandbox --decrypt"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
    /// The cipher from now on [default: the declared one]
    #[arg(long, value_name = "CIPHER")]
    pub cipher: Option<Cipher>,
    /// The file that holds the new key, in hexadecimal digits
    #[arg(long, value_name = "FILE", group = "new_key")]
    pub new_key_file: Option<PathBuf>,
    /// A line for `sh` that prints the new key
    #[arg(long, value_name = "COMMAND", group = "new_key")]
    pub new_key_command: Option<String>,
    /// The variable that holds the new key
    #[arg(long, value_name = "NAME", group = "new_key")]
    pub new_key_env: Option<String>,
    /// Leave the database plain, for everybody who can read the file
    #[arg(long, conflicts_with_all = ["new_key", "cipher"])]
    pub decrypt: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub database: String,
    #[serde(flatten)]
    pub done: Done,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// The cipher before; nothing where the database was plain
    pub from: Option<String>,
    /// The cipher now; nothing where the database is plain
    pub to: Option<String>,
    pub tables: u64,
    /// As many were read back and found the same
    pub rows: u64,
    /// The size of the new file
    pub bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let instance = select::one(&project, args.name.as_deref())?;
    let mut command = Command::new(owner_binary::find()?);
    command.arg("rekey").arg(&instance.name).args(context.forwarded(&project)?);
    if let Some(cipher) = args.cipher {
        command.arg("--cipher").arg(cipher.as_str());
    }
    if let Some(path) = &args.new_key_file {
        command.arg("--new-key-file").arg(absolute(path)?);
    }
    for (flag, value) in [("--new-key-command", &args.new_key_command), ("--new-key-env", &args.new_key_env)] {
        if let Some(value) = value {
            command.arg(format!("{flag}={value}"));
        }
    }
    if args.decrypt {
        command.arg("--decrypt");
    }
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(&codes::OWNER_MISSING, "nixbox-owner cannot be run").why(error))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(presence::owner_failed(&instance.name, ended.status.code(), &said));
    }
    let done: Done = serde_json::from_slice(&ended.stdout)
        .map_err(|error| Failure::new(&codes::UNEXPECTED, "nixbox-owner's answer was not understood").why(error))?;
    tell(instance, &args, &done, context);
    if context.output.json {
        let database = instance.paths.db.display().to_string();
        context.output.json(Answer { instance: instance.name.clone(), database, done })?;
    }
    Ok(DONE)
}

fn tell(instance: &Instance, args: &Args, done: &Done, context: &Context) {
    let of = |cipher: &Option<String>| cipher.clone().unwrap_or_else(|| "plain".into());
    context.output.note(format!(
        "{}: {} -> {}; {} rows in {} tables were written, read back and found the same",
        instance.name,
        of(&done.from),
        of(&done.to),
        done.rows,
        done.tables
    ));
    let declared = instance.encryption.as_ref().map(|encryption| encryption.cipher.as_str());
    let new_key = args.new_key_file.is_some() || args.new_key_command.is_some() || args.new_key_env.is_some();
    if new_key || declared != done.to.as_deref() {
        let now = match &done.to {
            Some(cipher) => format!("`encryption` with `cipher = \"{cipher}\"` and the place of the key"),
            None => "no `encryption`".into(),
        };
        context.output.warn(format!("declare it so from now on: {now}; as it is declared, it does not open"));
    }
    if done.from.is_none() {
        let dir = instance.paths.dir.display();
        context.output.warn(format!(
            "what the plain file held is freed, not wiped: the disk may keep it for a while, and so do copies of it, \
             such as those in {dir}"
        ));
    }
}
