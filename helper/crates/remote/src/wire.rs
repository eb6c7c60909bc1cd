//! The JSON of `POST /v2/pipeline`, as far as it is used here.

use std::io::{Result as IoResult, Write};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::value::{Rows, Value};

#[derive(Serialize)]
struct StepOnWire<'a> {
    condition: Option<Condition>,
    stmt: Statement<'a>,
}

#[derive(Serialize)]
struct Statement<'a> {
    sql: &'a str,
    args: &'a [Value],
    want_rows: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Condition {
    Ok { step: usize },
    Not { cond: Box<Self> },
    IsAutocommit,
}

impl Condition {
    pub(crate) fn ok(step: usize) -> Self {
        Self::Ok { step }
    }

    pub(crate) fn not(cond: Self) -> Self {
        Self::Not { cond: Box::new(cond) }
    }
}

/// A request with one batch, which goes out step by step as it is written.
pub(crate) struct Encoder<W> {
    out: W,
    steps: usize,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(mut out: W) -> IoResult<Self> {
        out.write_all(br#"{"baton":null,"requests":[{"type":"batch","batch":{"steps":["#)?;
        Ok(Self { out, steps: 0 })
    }

    /// How many steps it has.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(crate) fn write(&mut self, condition: Option<Condition>, sql: &str, args: &[Value]) -> IoResult<()> {
        if self.steps > 0 {
            self.out.write_all(b",")?;
        }
        self.steps += 1;
        let stmt = Statement { sql, args, want_rows: true };
        Ok(serde_json::to_writer(&mut self.out, &StepOnWire { condition, stmt })?)
    }

    pub(crate) fn end(mut self) -> IoResult<W> {
        self.out.write_all(b"]}}]}")?;
        self.out.flush()?;
        Ok(self.out)
    }
}

#[derive(Deserialize)]
struct Answers {
    results: Vec<Answer>,
}

/// One of the two. What serde derives for the tag would hold all of it a second time.
#[derive(Deserialize)]
struct Answer {
    response: Option<Response>,
    error: Option<Message>,
}

#[derive(Deserialize)]
struct Response {
    result: BatchResult,
}

#[derive(Deserialize)]
struct BatchResult {
    step_results: Vec<Option<Rows>>,
    step_errors: Vec<Option<Message>>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// What each step answered, and what each was refused with.
pub(crate) type Outcome = (Vec<Option<Rows>>, Vec<Option<String>>);

pub(crate) fn decode(body: &[u8], steps: usize) -> Result<Outcome> {
    let answers: Answers = serde_json::from_slice(body).map_err(|error| Error::Junk(error.to_string()))?;
    let [answer] = <[Answer; 1]>::try_from(answers.results)
        .map_err(|several| Error::Junk(format!("{} answers came to one request", several.len())))?;
    let BatchResult { step_results, step_errors } = match answer {
        Answer { error: Some(error), .. } => return Err(Error::Refused { step: 0, message: error.message }),
        Answer { response: Some(response), .. } => response.result,
        Answer { .. } => return Err(Error::Junk("a request was neither refused nor answered".into())),
    };
    if step_results.len() != steps || step_errors.len() != steps {
        return Err(Error::Junk(format!("{} results came to {steps} steps", step_results.len())));
    }
    Ok((step_results, step_errors.into_iter().map(|error| error.map(|error| error.message)).collect()))
}
