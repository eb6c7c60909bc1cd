//! Answers as JSON.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub(crate) fn answer(code: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (code, headers, format!("{body}\n")).into_response()
}

pub(crate) fn refusal(code: StatusCode, message: &str) -> Response {
    answer(code, &json!({ "error": message }))
}
