//! Whole trees in and out. Packing and planting take as long as they take, so each has a thread of its own beside those
//! that work for other requests; it and the conversation hand each other pieces.

mod export;
mod import;
mod pipe;

use std::path::Path;

use nixbox_archive as archive;
use nixbox_engine::Error as Database;
use nixbox_report::{Failure, Report, codes};

use tokio::task::JoinHandle;

pub(super) use export::export;
pub(super) use import::{import, import_database};

use crate::failure;

/// Why a transfer ended early.
enum Broken {
    Report(Report),
    /// There is nobody left to tell.
    Peer,
}

impl From<Report> for Broken {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

impl From<Database> for Broken {
    fn from(error: Database) -> Self {
        Self::Report(failure::working(error))
    }
}

impl From<archive::Error> for Broken {
    fn from(error: archive::Error) -> Self {
        let failure = match &error {
            archive::Error::Refused { path, why } => refused(path, why),
            archive::Error::Broken(why) => Failure::new(&codes::ARCHIVE_BROKEN, "what came is no whole tar archive")
                .why(why)
                .help("see that it was made and sent to its end; nothing of it was kept"),
            // The stream is the peer.
            _ => return Self::Peer,
        };
        Self::Report(failure.into())
    }
}

/// What the thread came to.
async fn ended<T>(work: JoinHandle<T>) -> Result<T, Report> {
    work.await.map_err(|error| Failure::new(&codes::UNEXPECTED, "a request broke off").why(error).into())
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::new(&codes::ARCHIVE_REFUSED, format!("{} in the archive is refused", path.display()))
        .why(why)
        .help("leave it out of the archive; nothing of it was kept")
}
