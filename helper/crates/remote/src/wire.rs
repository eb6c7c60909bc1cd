//! The JSON of `POST /v2/pipeline`, as far as it is used here.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::value::{Rows, Value};

#[derive(Serialize)]
struct Pipeline<'a> {
    baton: Option<&'a str>,
    requests: [Request<'a>; 1],
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "batch")]
struct Request<'a> {
    batch: Steps<'a>,
}

#[derive(Serialize)]
struct Steps<'a> {
    steps: &'a [StepOnWire<'a>],
}

#[derive(Serialize)]
pub(crate) struct StepOnWire<'a> {
    pub(crate) condition: Option<Condition>,
    pub(crate) stmt: Statement<'a>,
}

#[derive(Serialize)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: &'a str,
    pub(crate) args: &'a [Value],
    pub(crate) want_rows: bool,
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

pub(crate) fn encode(steps: &[StepOnWire<'_>]) -> Result<Vec<u8>> {
    let pipeline = Pipeline { baton: None, requests: [Request { batch: Steps { steps } }] };
    serde_json::to_vec(&pipeline).map_err(|error| Error::Junk(error.to_string()))
}

#[derive(Deserialize)]
struct Answers {
    results: Vec<Answer>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer {
    Ok { response: Response },
    Error { error: Message },
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
        Answer::Ok { response } => response.result,
        Answer::Error { error } => return Err(Error::Refused { step: 0, message: error.message }),
    };
    if step_results.len() != steps || step_errors.len() != steps {
        return Err(Error::Junk(format!("{} results came to {steps} steps", step_results.len())));
    }
    Ok((step_results, step_errors.into_iter().map(|error| error.map(|error| error.message)).collect()))
}
