//! What a verb does by itself, put on record as a tool call: that it begins, and how it ends.

use nixbox_control::{Request, Response, ToolDetails, ToolRequest};
use nixbox_report::{Failure, Report, codes};
use serde_json::Value;

use crate::asking::Asked;
use crate::context::Context;

/// Begun, and not ended yet.
pub struct Call {
    id: i64,
    asked: Asked,
}

impl Call {
    pub fn begin(name: &str, parameters: &Value, asked: Asked) -> Result<Self, Report> {
        let details = ToolDetails { parameters: Some(parameters.to_string()), ..ToolDetails::default() };
        match tell(&asked, ToolRequest::Start { name: name.into() }, &details)? {
            Response::Call { id } => Ok(Self { id, asked }),
            _ => Err(Failure::new(&codes::UNEXPECTED, "the owner did not say which call has begun").into()),
        }
    }

    pub fn id(&self) -> i64 {
        self.id
    }

    pub fn succeed(self, result: &Value, context: &Context) {
        self.end(&ToolDetails { result: Some(result.to_string()), ..ToolDetails::default() }, context);
    }

    pub fn fail(self, why: &str, result: Option<&Value>, context: &Context) {
        let result = result.map(Value::to_string);
        self.end(&ToolDetails { result, error: Some(why.into()), ..ToolDetails::default() }, context);
    }

    /// What was done is done, on record or not.
    fn end(self, details: &ToolDetails, context: &Context) {
        if let Err(report) = tell(&self.asked, ToolRequest::Finish { id: self.id }, details) {
            let why = report.failures.into_iter().next().map(|failure| failure.what).unwrap_or_default();
            context.output.warn(format!("its end is not in the timeline: {why}"));
        }
    }
}

fn tell(asked: &Asked, request: ToolRequest, details: &ToolDetails) -> Result<Response, Report> {
    let details = serde_json::to_vec(details).map_err(std::io::Error::other)?;
    asked.tell_with(&Request::Tool(request), &details, "the call")
}
