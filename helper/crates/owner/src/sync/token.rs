//! The token for a remote: had where the configuration says, when it is first needed.

use std::path::Path;

use nixbox_config::KeySource;
use nixbox_report::{Failure, Report, codes};
use zeroize::Zeroizing;

use crate::key;

/// Upstream's name for it.
const USUAL: &str = "TURSO_DB_AUTH_TOKEN";

/// None where none was said and the usual variable is not set: a remote on loopback may need none.
pub(crate) fn read(source: Option<&KeySource>, remote: &str, root: &Path) -> Result<Option<Zeroizing<String>>, Report> {
    let (source, optional) = match source {
        Some(source) => (source.clone(), false),
        None => (KeySource::Variable(USUAL.into()), true),
    };
    match key::text_of(&source, root) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim().to_owned()))),
        Err(_) if optional => Ok(None),
        Err(report) => Err(failed(remote, &source, report)),
    }
}

fn failed(remote: &str, source: &KeySource, report: Report) -> Report {
    let what = format!("the token for the remote `{remote}` cannot be had from {}", key::named(source));
    let failure = Failure::new(&codes::SYNC_TOKEN, what);
    match report.failures.into_iter().next().and_then(|failure| failure.why) {
        Some(why) => failure.why(why),
        None => failure.why("it is not set"),
    }
    .help("see to it that it is there, that this user can read it and that others cannot")
    .into()
}
