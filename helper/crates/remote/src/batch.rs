//! Statements that are sent together. Servers go on after one that fails, and would commit the rest: so each is
//! bound to the success of the one before it, and what comes last takes everything back where that was not reached.

use crate::error::{Error, Result};
use crate::value::{Rows, Value};
use crate::wire::{Condition, Statement, StepOnWire};

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

    /// About how many bytes it is on its way.
    pub fn weight(&self) -> usize {
        let arg = |value: &Value| match value {
            Value::Blob { base64 } => base64.len() * 4 / 3,
            Value::Text { value } => value.len(),
            _ => 8,
        };
        self.sql.len() + self.args.iter().map(arg).sum::<usize>() + 64
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

    /// What is put around the steps: before them this many.
    const BEFORE: usize = 2;

    /// `begin`: how its transaction begins.
    pub(crate) fn on_wire(&self, begin: &'static str) -> Vec<StepOnWire<'_>> {
        let plain = |sql, condition| StepOnWire { condition, stmt: Statement { sql, args: &[], want_rows: false } };
        let mut wire = Vec::with_capacity(self.steps.len() + 4);
        // What a client that broke off has left open on a server with one connection for all.
        wire.push(plain("ROLLBACK", Some(Condition::not(Condition::IsAutocommit))));
        wire.push(plain(begin, None));
        for step in &self.steps {
            let condition = Some(Condition::ok(wire.len() - 1));
            wire.push(StepOnWire { condition, stmt: Statement { sql: &step.sql, args: &step.args, want_rows: true } });
        }
        let last = wire.len() - 1;
        wire.push(plain("COMMIT", Some(Condition::ok(last))));
        wire.push(plain("ROLLBACK", Some(Condition::not(Condition::ok(last + 1)))));
        wire
    }

    /// What the steps answered, if the last of them was reached and committed.
    pub(crate) fn outcome(&self, mut results: Vec<Option<Rows>>, errors: &[Option<String>]) -> Result<Vec<Rows>> {
        let commit = Self::BEFORE + self.steps.len();
        // The first ROLLBACK is not asked whether it was needed.
        let failed = errors.iter().enumerate().skip(1).take(commit).find_map(|(at, error)| Some((at, error.as_ref()?)));
        if let Some((at, message)) = failed {
            return Err(Error::Refused { step: at.saturating_sub(Self::BEFORE), message: message.clone() });
        }
        if results.get(commit).is_none_or(Option::is_none) {
            return Err(Error::Junk("a batch was neither refused nor committed".into()));
        }
        results.truncate(commit);
        let rows: Vec<_> = results.into_iter().skip(Self::BEFORE).flatten().collect();
        match rows.len() == self.steps.len() {
            true => Ok(rows),
            false => Err(Error::Junk("a batch was committed with steps left out".into())),
        }
    }
}
