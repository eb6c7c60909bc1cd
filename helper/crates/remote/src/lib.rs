//! A Turso or libSQL database over HTTP, as a place where several machines meet: batches of SQL that happen whole or not
//! at all, and the lease that lets one of the machines write. Knows no files, no configuration, no clap.

mod backoff;
mod batch;
mod error;
mod lease;
mod remote;
mod spool;
mod value;
mod wire;

pub use backoff::{Backoff, jitter};
pub use batch::{Batch, Step};
pub use error::{Error, Result};
pub use lease::{Claim, Held, Lease, Standing, guard};
pub use remote::{Deadlines, Endpoint, Remote};
pub use spool::{Spool, Spooled};
pub use value::{Rows, Value};
