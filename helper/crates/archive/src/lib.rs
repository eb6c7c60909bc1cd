//! A file tree as a stream: tar with pax headers, so that names of any length and times to the nanosecond survive. What
//! goes in comes out; what an archive must not do to whoever unpacks it is refused here, once for all.
//!
//! Also folders of the real system, as the source of such a stream and as its target.

mod entry;
mod gather;
mod lay_out;
mod pack;
mod unpack;

pub use entry::{Entry, Error, Kind, Result};
pub use gather::{gather, gather_one};
pub use lay_out::LayOut;
pub use pack::Pack;
pub use unpack::unpack;
