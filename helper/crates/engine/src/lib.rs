//! An AgentFS database (SPEC 0.4): the store, the file tree in it and the folder that this may lie over, its values and
//! its tool calls. Knows no sockets, no FUSE, no configuration.

mod absent;
mod agreed;
mod beside;
mod by_path;
mod database;
mod delta;
mod direct;
mod encryption;
mod error;
mod files;
mod filesystem;
mod journal;
mod kv;
mod layers;
mod listing;
mod meters;
mod overlay;
mod probe;
#[cfg(feature = "turso")]
mod rekey;
mod relocate;
mod restore;
mod review;
mod schema;
mod snapshot;
mod store;
mod tool_calls;
mod upkeep;

pub use absent::{ABSENT_TABLE, Absent, Missing, Origin, Piece, Unfetched};
pub use agreed::Agreed;
pub use by_path::{ByPath, Found, Links, Look, Picked, Planting, Reading, Walk, Wanted, Witness, Writing};
pub use database::{DEFAULT_CHUNK_SIZE, Database, Gauges, Mode, Options};
pub use delta::{Beneath, Delta, Notes};
pub use direct::Direct;
pub use encryption::{Cipher, Encryption, KeyError, UnknownCipher};
pub use error::{Error, Result, StoreError, StoreErrorKind};
pub use files::{Files, Limits};
pub use filesystem::*;
pub use kv::{Kv, KvEntry, Leave};
pub use layers::{Layer, Layers};
pub use listing::{Listing, Name};
pub use meters::{Latency, Load, Meters};
pub use overlay::{BaseOptions, Overlay, Touched};
#[cfg(feature = "turso")]
pub use rekey::{Rekeyed, cipher_of, rekey};
pub use relocate::{Relocated, recorded_base, relocate};
pub use restore::restore;
pub use review::{Change, ChangeKind, Changes, Compared, Difference, Review, Side};
pub use snapshot::{Snapshots, Taken};
pub use store::Backing;
#[cfg(feature = "turso")]
pub use store::is_guarded;
pub use tool_calls::{Filter, Finished, Outcome, ToolCall, ToolCalls};
pub use upkeep::{Checked, Finding, Migrated, adopt, check, migrate, repair};
