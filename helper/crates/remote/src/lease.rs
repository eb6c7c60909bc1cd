//! The lease: a row in the remote that says who may write. It is taken, kept and given back by single statements, and every
//! time in it is the server's: clocks of two machines need not agree. Its number grows whenever it changes hands, and
//! every push proves that the number is still its own ([`guard`]), so a holder that slept past its time writes nothing.

use std::fmt;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Step};
use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::value::{Rows, Value};

/// Seconds since 1970, with fractions, in words that older SQLites know, too.
const NOW: &str = "((julianday('now') - 2440587.5) * 86400.0)";

const LEASE: &str = "CREATE TABLE IF NOT EXISTS nixbox_lease (one INTEGER PRIMARY KEY, fence INTEGER NOT NULL, \
                     holder TEXT NOT NULL, who TEXT NOT NULL, host TEXT NOT NULL, since REAL NOT NULL, \
                     until REAL NOT NULL)";
/// Never holds a row. What must be true is inserted, and NULL is refused where it is not.
const GUARD: &str = "CREATE TABLE IF NOT EXISTS nixbox_guard (held INTEGER NOT NULL)";
const LOOK: &str =
    "SELECT fence, holder, who, host, since, until - {now}, {now} - since FROM nixbox_lease WHERE one = 1";

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Nobody else's: a copy of an instance is another holder.
    pub holder: String,
    /// For people.
    pub who: String,
    pub host: String,
    /// How long it is good for without being renewed.
    pub length: Duration,
}

/// A lease that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub fence: i64,
    /// By this machine's clock, begun before the server's. It stands still while the machine sleeps: the guard decides.
    until: Instant,
}

impl Held {
    /// Whether it is likely to be good still. What decides is the guard.
    pub fn is_good(&self) -> bool {
        Instant::now() < self.until
    }

    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// What the remote says of its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub fence: i64,
    pub holder: String,
    pub who: String,
    pub host: String,
    /// Seconds since 1970, by the server's clock.
    pub since: f64,
    /// What is left of it; none where it has run out or was given back.
    pub left: Option<Duration>,
    /// How long it has been held.
    pub held: Duration,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.held.as_secs() / 60;
        match self.left {
            Some(_) if minutes == 0 => write!(f, "held by {} on {}", self.who, self.host),
            Some(_) => write!(f, "held by {} on {} for {minutes} min", self.who, self.host),
            None => write!(f, "free"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Lease {
    Ours(Held),
    Theirs(Standing),
}

impl Claim {
    /// Takes the lease where it is free, has run out, or is ours already. `force`: whoever has it.
    pub fn take(&self, remote: &Remote, force: bool) -> Result<Lease> {
        let sql = format!(
            "INSERT INTO nixbox_lease (one, fence, holder, who, host, since, until) \
             VALUES (1, 1, ?1, ?2, ?3, {NOW}, {NOW} + ?4) ON CONFLICT(one) DO UPDATE SET \
             fence = nixbox_lease.fence + 1, holder = excluded.holder, who = excluded.who, host = excluded.host, \
             since = excluded.since, until = excluded.until \
             WHERE nixbox_lease.until <= {NOW} OR nixbox_lease.holder = excluded.holder OR ?5 RETURNING fence"
        );
        let args = [
            self.holder.as_str().into(),
            self.who.as_str().into(),
            self.host.as_str().into(),
            self.length.as_secs_f64().into(),
            i64::from(force).into(),
        ];
        let batch = Batch::of([Step::new(LEASE), Step::new(GUARD), Step::with(sql, args), look_step()]);
        // Before the question: the server's time begins later.
        let until = Instant::now() + self.length;
        let answers = remote.change(&batch)?;
        let [_, _, taken, standing] = answers.as_slice() else {
            return Err(Error::Junk("a lease was asked for with other steps".into()));
        };
        match taken.rows.first() {
            Some(row) => Ok(Lease::Ours(Held { fence: Rows::int(row, 0)?, until })),
            None => match standing.rows.first() {
                Some(row) => Ok(Lease::Theirs(standing_of(row)?)),
                None => Err(Error::Junk("a lease is neither ours nor anybody's".into())),
            },
        }
    }

    /// Goes on holding it, also where it has run out and nobody has taken it since. [`Error::Lost`] where somebody has.
    pub fn renew(&self, remote: &Remote, held: Held) -> Result<Held> {
        let sql = format!(
            "UPDATE nixbox_lease SET until = {NOW} + ?3 WHERE one = 1 AND holder = ?1 AND fence = ?2 RETURNING fence"
        );
        let args = [self.holder.as_str().into(), held.fence.into(), self.length.as_secs_f64().into()];
        let until = Instant::now() + self.length;
        let answers = remote.change(&Batch::of([Step::with(sql, args), look_step()]));
        let answers = answers.map_err(|error| if is_no_table(&error) { Error::Lost(None) } else { error })?;
        match answers.first().and_then(Rows::value) {
            Some(_) => Ok(Held { until, ..held }),
            None => {
                let standing = answers.get(1).and_then(|rows| rows.rows.first()).map(|row| standing_of(row));
                Err(Error::Lost(standing.transpose()?.map(Box::new)))
            }
        }
    }

    /// Gives it back, where it is still ours.
    pub fn release(&self, remote: &Remote, held: Held) -> Result<()> {
        let sql = "UPDATE nixbox_lease SET until = 0 WHERE one = 1 AND holder = ?1 AND fence = ?2";
        let args = [self.holder.as_str().into(), held.fence.into()];
        remote.change(&Batch::of([Step::with(sql, args)])).map(drop)
    }
}

impl Standing {
    /// None where nobody has ever held one.
    pub fn of(remote: &Remote) -> Result<Option<Self>> {
        match remote.ask(&look_step()) {
            Ok(rows) => rows.rows.first().map(|row| standing_of(row)).transpose(),
            Err(error) if is_no_table(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The first steps of whatever only the holder may do: they refuse the whole batch where `held` is not the lease any
/// more, or has run out.
pub fn guard(claim: &Claim, held: Held) -> [Step; 2] {
    let sql = format!(
        "INSERT INTO nixbox_guard (held) VALUES \
         ((SELECT 1 FROM nixbox_lease WHERE one = 1 AND holder = ?1 AND fence = ?2 AND until > {NOW}))"
    );
    let args: [Value; 2] = [claim.holder.as_str().into(), held.fence.into()];
    [Step::with(sql, args), Step::new("DELETE FROM nixbox_guard")]
}

fn look_step() -> Step {
    Step::new(LOOK.replace("{now}", NOW))
}

fn standing_of(row: &[Value]) -> Result<Standing> {
    let span = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let left = Rows::real(row, 5)?;
    Ok(Standing {
        fence: Rows::int(row, 0)?,
        holder: Rows::text(row, 1)?.to_owned(),
        who: Rows::text(row, 2)?.to_owned(),
        host: Rows::text(row, 3)?.to_owned(),
        since: Rows::real(row, 4)?,
        left: (left > 0.0).then(|| span(left)),
        held: span(Rows::real(row, 6)?),
    })
}

fn is_no_table(error: &Error) -> bool {
    matches!(error, Error::Refused { message, .. } if message.contains("no such table"))
}
