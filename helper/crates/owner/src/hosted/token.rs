//! The token that clients have to show. One in a file that is not there yet is made.

use std::path::Path;

use nixbox_config::KeySource;
use nixbox_report::{Failure, Report, codes};

use crate::failure;
use crate::sync::token::read;
use crate::token::Token;

pub(super) fn had(source: &KeySource, remote: &str, root: &Path) -> Result<Token, Report> {
    if let KeySource::File(path) = source
        && !path.exists()
    {
        make(path)?;
        tracing::info!(file = %path.display(), "a token was made");
    }
    let text = read(Some(source), remote, root)?.unwrap_or_default();
    Token::of(&text).ok_or_else(|| {
        Failure::new(&codes::SYNC_TOKEN, format!("the token for the remote `{remote}` is none that can be used"))
            .why(format_args!("it is shorter than {} characters, or has one that cannot be sent", Token::LEAST))
            .help("make one with `openssl rand -hex 32`, or remove its file: a new one is made then")
            .into()
    })
}

fn make(path: &Path) -> Result<(), Report> {
    let failed = |error: std::io::Error| Report::from(failure::io(path, &error));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    Token::make().and_then(|token| token.keep(path)).map_err(failed)
}
