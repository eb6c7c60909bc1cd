//! Statements that are sent together. Servers go on after one that fails, and would commit the rest: so each is
//! bound to the success of the one before it, and what comes last takes everything back where that was not reached.

use std::io::{Result as IoResult, Write};

use crate::error::{Error, Result};
use crate::value::{Rows, Value};
use crate::wire::{Condition, Encoder};

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub sql: String,
    pub args: Vec<Value>,
}

impl Step {
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), args: Vec::new() }
    }

    pub fn with(sql: impl Into<String>, args: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), args: args.into_iter().collect() }
    }
}

/// All of it happens, or nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    steps: Vec<Step>,
}

impl Batch {
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }

    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// A batch as it is sent: what is put around its steps, and what binds them together.
pub(crate) struct Bound<W> {
    encoder: Encoder<W>,
}

/// Before the steps: so many.
const BEFORE: usize = 2;

impl<W: Write> Bound<W> {
    /// `begin`: how its transaction begins.
    pub(crate) fn new(out: W, begin: &str) -> IoResult<Self> {
        let mut encoder = Encoder::new(out)?;
        // What a client that broke off has left open on a server with one connection for all.
        encoder.write(Some(Condition::not(Condition::IsAutocommit)), "ROLLBACK", &[])?;
        encoder.write(None, begin, &[])?;
        Ok(Self { encoder })
    }

    pub(crate) fn push(&mut self, step: &Step) -> IoResult<()> {
        let condition = Condition::ok(self.encoder.steps() - 1);
        self.encoder.write(Some(condition), &step.sql, &step.args)
    }

    /// With how many steps there are of its own.
    pub(crate) fn end(mut self) -> IoResult<(W, usize)> {
        let last = self.encoder.steps() - 1;
        self.encoder.write(Some(Condition::ok(last)), "COMMIT", &[])?;
        self.encoder.write(Some(Condition::not(Condition::ok(last + 1))), "ROLLBACK", &[])?;
        Ok((self.encoder.end()?, last + 1 - BEFORE))
    }
}

/// How many steps a batch of `steps` is on the wire.
pub(crate) fn on_wire(steps: usize) -> usize {
    BEFORE + steps + 2
}

/// What the `steps` of a batch answered, if the last of them was reached and committed.
pub(crate) fn outcome(
    steps: usize,
    (mut results, errors): (Vec<Option<Rows>>, Vec<Option<String>>),
) -> Result<Vec<Rows>> {
    let commit = BEFORE + steps;
    // The first ROLLBACK is not asked whether it was needed.
    let failed = errors.iter().enumerate().skip(1).take(commit).find_map(|(at, error)| Some((at, error.as_ref()?)));
    if let Some((at, message)) = failed {
        return Err(Error::Refused { step: at.saturating_sub(BEFORE), message: message.clone() });
    }
    if results.get(commit).is_none_or(Option::is_none) {
        return Err(Error::Junk("a batch was neither refused nor committed".into()));
    }
    results.truncate(commit);
    let rows: Vec<_> = results.into_iter().skip(BEFORE).flatten().collect();
    match rows.len() == steps {
        true => Ok(rows),
        false => Err(Error::Junk("a batch was committed with steps left out".into())),
    }
}
