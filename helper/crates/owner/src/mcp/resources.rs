//! The files as resources: `agentfs:///src/main.rs`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nixbox_engine::{Found, Kind};
use nixbox_report::{Failure, Report, codes};
use rmcp::model::{
    ErrorData, JsonObject, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use super::Agent;
use super::call::record;
use super::files::at;
use crate::failure;

const SCHEME: &str = "agentfs://";
/// Told of at a time.
const PAGE: usize = 500;
/// A resource comes whole or not at all.
const MOST: u64 = 1 << 20;

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new("agentfs:///{+path}", "file")
        .with_title("A file of the instance")
        .with_description("The path begins at the instance's root; what a URI may not hold is percent-encoded")
}

pub(super) async fn list(agent: &Agent, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let after = cursor.map(|cursor| path_of_cursor(&cursor)).transpose()?;
    let request = agent.desk.take(&agent.stop).await.map_err(|report| refused(&report))?;
    let page = request.work(move |open| {
        let walk = match &after {
            Some(after) => open.files.list_after("/".as_ref(), Path::new(after)),
            None => open.files.list("/".as_ref(), true),
        };
        walk.map_err(failure::working)?.next(PAGE, |found| found.attr.kind == Kind::File).map_err(failure::working)
    });
    let found = page.await.map_err(|report| refused(&report))?;
    let mut result = ListResourcesResult::with_all_items(found.iter().map(resource).collect());
    result.next_cursor = found.get(PAGE - 1).map(|last| URL_SAFE_NO_PAD.encode(last.path.as_os_str().as_bytes()));
    Ok(result)
}

pub(super) async fn read(agent: &Agent, uri: String) -> Result<ReadResourceResult, ErrorData> {
    let begun = Instant::now();
    let path = path_of(&uri).ok_or_else(|| {
        ErrorData::invalid_params(format!("{uri:?} is not a URI of this server, such as agentfs:///README.md"), None)
    })?;
    let request = agent.desk.take(&agent.stop).await.map_err(|report| refused(&report))?;
    let wanted = path.clone();
    let content = request
        .work(move |open| {
            let shown = wanted.to_string_lossy();
            let mut reading = open.files.read(&wanted).map_err(at(&shown))?;
            if reading.attr().size > MOST {
                return Err(too_large(&shown, reading.attr().size).into());
            }
            let mut content = Vec::new();
            loop {
                match reading.next(MOST as u32).map_err(at(&shown))? {
                    piece if piece.is_empty() => return Ok(content),
                    piece => content.extend(piece),
                }
            }
        })
        .await;
    let mut parameters = JsonObject::new();
    parameters.insert("path".into(), Value::String(path.to_string_lossy().into_owned()));
    let result = content.as_ref().map(|content| json!({ "bytes": content.len() })).map_err(Clone::clone);
    record("mcp.read_resource", parameters, result, begun.elapsed(), &request).await;
    let content = content.map_err(|report| refused(&report))?;
    let kind = media_type(Path::new(&path));
    let contents = match String::from_utf8(content) {
        Ok(text) => ResourceContents::text(text, uri).with_mime_type(kind.unwrap_or("text/plain")),
        Err(error) => ResourceContents::blob(STANDARD.encode(error.as_bytes()), uri)
            .with_mime_type(kind.unwrap_or("application/octet-stream")),
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

fn resource(found: &Found) -> Resource {
    let path = found.path.to_string_lossy();
    let resource = Resource::new(uri_of(found.path.as_os_str()), path).with_size(found.attr.size);
    match media_type(&found.path) {
        Some(kind) => resource.with_mime_type(kind),
        None => resource,
    }
}

fn uri_of(path: &OsStr) -> String {
    let mut uri = format!("{SCHEME}/");
    for byte in path.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Upstream's URIs are the bare paths; those are understood, too.
fn path_of(uri: &str) -> Option<OsString> {
    let path = match uri.strip_prefix(SCHEME) {
        Some(path) => decoded(path)?,
        None => uri.as_bytes().to_vec(),
    };
    path.starts_with(b"/").then(|| OsString::from_vec(path))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [char::from(bytes.next()?), char::from(bytes.next()?)].map(|digit| digit.to_digit(16));
                (digits[0]? * 16 + digits[1]?) as u8
            }
            byte => byte,
        });
    }
    Some(decoded)
}

fn path_of_cursor(cursor: &str) -> Result<OsString, ErrorData> {
    let path = URL_SAFE_NO_PAD.decode(cursor);
    path.map(OsString::from_vec).map_err(|_| ErrorData::invalid_params("the cursor is not one of this server", None))
}

/// By its name: the common ones that a client may show in its own way.
fn media_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()? {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "json" => "application/json",
        "toml" => "application/toml",
        "yaml" | "yml" => "application/yaml",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        "gz" => "application/gzip",
        _ => return None,
    })
}

fn too_large(path: &str, size: u64) -> Failure {
    Failure::new(&codes::MCP_TOO_LARGE, format!("{path} is too large for a resource"))
        .why(format!("it has {size} bytes, and one answer has {MOST} at most"))
        .help("read it in parts with the tool `read_file`")
}

/// A resource has no way to say that it is an error but the protocol's.
fn refused(report: &Report) -> ErrorData {
    let first = report.failures.first();
    let message = first.map_or_else(|| "it could not be done".to_owned(), |failure| failure.what.clone());
    let data = Some(nixbox_report::json(report));
    match first.map(|failure| failure.code.id) {
        Some(id) if id == codes::FILE_MISSING.id => ErrorData::resource_not_found(message, data),
        Some(id) if id == codes::UNEXPECTED.id => ErrorData::internal_error(message, data),
        _ => ErrorData::invalid_params(message, data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_uri() {
        for path in [&b"/a/b.rs"[..], "/ein Bär%/#?.txt".as_bytes(), b"/\xff\n", b"/"] {
            let path = OsStr::from_bytes(path);
            let uri = uri_of(OsStr::from_bytes(&path.as_bytes()[1..]));
            assert!(uri.is_ascii() && !uri.contains([' ', '#', '?']), "{uri}");
            assert_eq!(path_of(&uri).as_deref(), Some(path), "{uri}");
        }
        assert_eq!(path_of("/plain%20").as_deref(), Some(OsStr::new("/plain%20")));
        for other in ["agentfs://host/a", "agentfs:///%zz", "agentfs:///%f", "file:///etc/passwd", "a", ""] {
            assert_eq!(path_of(other), None, "{other}");
        }
    }
}
