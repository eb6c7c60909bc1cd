//! The tool log, as whoever calls tools writes it.

use nixbox_control::{Response, ToolDetails, ToolRequest};
use nixbox_engine::{Finished, Outcome};
use nixbox_report::{Failure, Report, codes};

use super::json;
use super::talk::{Ended, Talk};
use crate::desk::Request;
use crate::failure;
use crate::hooks;

pub(super) async fn answer(asked: ToolRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let details = details(talk.value(request.stop()).await?)?;
    let kind = match (&asked, &details.error) {
        (ToolRequest::Start { .. }, _) => "pending",
        (_, Some(_)) => "error",
        (_, None) => "success",
    };
    let id = request
        .work(move |open| {
            let ToolDetails { parameters, result, error } = &details;
            let outcome = match error {
                Some(error) => Outcome::Error { error },
                None => Outcome::Success { result: result.as_deref() },
            };
            let id = match asked {
                ToolRequest::Record { name, duration_ms } => {
                    open.calls.record(&name, parameters.as_deref(), outcome, duration_ms).map_err(failure::working)?
                }
                ToolRequest::Start { name } => {
                    open.calls.start(&name, parameters.as_deref()).map_err(failure::working)?
                }
                ToolRequest::Finish { id } => match open.calls.finish(id, outcome).map_err(failure::working)? {
                    Finished::Now => id,
                    Finished::Before => return Err(finished(id).into()),
                    Finished::NoSuchCall => return Err(missing(id).into()),
                },
            };
            open.calls.flush().map_err(failure::working)?;
            if kind != "pending"
                && let Some(call) = open.calls.get(id).map_err(failure::working)?
            {
                hooks::exec(&open.hooks, &call, result.as_deref());
            }
            Ok(id)
        })
        .await?;
    request.recorded(id, kind);
    Ok(talk.say(&Response::Call { id }).await?)
}

/// What is to be recorded, its JSON proved to be some.
fn details(body: Vec<u8>) -> Result<ToolDetails, Report> {
    let malformed = |error: serde_json::Error| -> Report {
        Failure::new(&codes::CONTROL_MALFORMED, "what is to be recorded was not understood").why(error).into()
    };
    let details: ToolDetails = serde_json::from_slice(&body).map_err(malformed)?;
    let proved = |text: Option<String>, what: &str| {
        text.map(|text| json(text.into_bytes()))
            .transpose()
            .map_err(|why| Report::from(Failure::new(&codes::TOOL_VALUE, format!("{what} not JSON")).why(why)))
    };
    Ok(ToolDetails {
        parameters: proved(details.parameters, "the parameters are")?,
        result: proved(details.result, "the result is")?,
        error: details.error,
    })
}

fn missing(id: i64) -> Failure {
    Failure::new(&codes::TOOL_MISSING, format!("there is no tool call {id}"))
        .help("`nixbox-helper timeline` shows the calls there are")
}

fn finished(id: i64) -> Failure {
    Failure::new(&codes::TOOL_FINISHED, format!("tool call {id} is finished already"))
        .why("a call has one outcome, which stays as it was recorded")
        .help("record another call with `nixbox-helper tool record`")
}
