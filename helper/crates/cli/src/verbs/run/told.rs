//! Whoever keeps this up waits to hear that the command begins.

use std::ffi::OsString;
use std::path::Path;

use nixbox_report::Report;
use nixbox_supervisor::Notice;

use crate::context::io_failure;

pub struct Told(Option<OsString>);

impl Told {
    /// To be called while there is one thread. The command is not to hear of it: it would be another one that is ready.
    pub fn begin() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        // SAFETY: there is one thread, so nobody reads the environment now.
        unsafe { std::env::remove_var("NOTIFY_SOCKET") };
        Self(socket)
    }

    pub fn ready(self) -> Result<(), Report> {
        let Some(socket) = self.0.as_deref().map(Path::new) else { return Ok(()) };
        Notice::Ready.tell(socket).map_err(|error| io_failure("write to", socket, error))
    }
}
