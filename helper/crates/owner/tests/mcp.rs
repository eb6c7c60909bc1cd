//! MCP in the protocol's own words, over the control socket and over HTTP: what no well-behaved client would send, and
//! what every answer has to be.

#![allow(clippy::unwrap_used)]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use common::{SOON, Test, http};
use nixbox_control::{Request, Response, decode, encode};
use serde_json::{Value, json};

const PLAIN: &str = "mount.backend = \"none\"";

/// A session on the control socket.
struct Session {
    stream: BufReader<UnixStream>,
    asked: i64,
}

impl Session {
    fn of(test: &Test) -> Self {
        let stream = UnixStream::connect(test.socket()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut session = Self { stream: BufReader::new(stream), asked: 0 };
        session.stream.get_mut().write_all(&encode(&Request::Mcp)).unwrap();
        let mut line = Vec::new();
        session.stream.read_until(b'\n', &mut line).unwrap();
        assert_eq!(decode::<Response>(&line).unwrap(), Response::Yours);
        session
    }

    /// One that has introduced itself.
    fn begun(test: &Test) -> Self {
        let mut session = Self::of(test);
        let hello = session.ask("initialize", hello());
        assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
        session.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        session
    }

    fn say(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}).to_string());
        let answer = self.hear();
        assert_eq!(answer["id"], self.asked, "{answer}");
        answer
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))["result"].clone()
    }

    fn text(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The code of the failure that the call must end with.
    fn failure(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        let code = result["structuredContent"]["errors"][0]["code"].as_str().unwrap().to_owned();
        assert!(result["content"][0]["text"].as_str().unwrap().contains(&code), "{result}");
        code.trim_start_matches("nixbox::").to_owned()
    }
}

fn hello() -> Value {
    json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}})
}

#[test]
fn upstreams_tools_answer_in_upstreams_words() {
    let test = Test::with(PLAIN);
    let owner = test.ready();
    let mut client = Session::begun(&test);
    let wrote = client.text("write_file", json!({"path": "a/b/f.txt", "content": "hé", "create_dirs": true}));
    assert_eq!(wrote, "Wrote 3 bytes to a/b/f.txt");
    assert_eq!(client.text("read_file", json!({"path": "/a/b/f.txt"})), "hé");
    assert_eq!(client.text("read_file", json!({"path": "/a/b/f.txt", "encoding": "base64"})), "aMOp");
    assert_eq!(client.text("mkdir", json!({"path": "/a/c"})), "Created directory: /a/c");
    assert_eq!(client.text("readdir", json!({"path": "/a"})), "[\n  \"b\",\n  \"c\"\n]");
    assert_eq!(client.text("rename", json!({"from": "/a/b/f.txt", "to": "/g"})), "Renamed /a/b/f.txt to /g");
    assert_eq!(client.text("access", json!({"path": "/g"})), "{\"exists\":true}");
    assert_eq!(client.text("access", json!({"path": "/a/b/f.txt"})), "{\"exists\":false}");
    let stat: Value = serde_json::from_str(&client.text("stat", json!({"path": "/g"}))).unwrap();
    assert_eq!((&stat["mode"], &stat["size"], &stat["is_file"]), (&json!(0o100_644), &json!(3), &json!(true)));
    assert_eq!(client.failure("remove", json!({"path": "/a"})), "file::not-empty");
    for path in ["/a/b", "/a/c", "/a", "/g"] {
        client.text("remove", json!({"path": path}));
    }
    assert_eq!(client.text("kv_set", json!({"key": "k", "value": {"a": [1, null]}})), "Set key: k");
    assert_eq!(client.text("kv_get", json!({"key": "k"})), "{\n  \"a\": [\n    1,\n    null\n  ]\n}");
    assert_eq!(client.text("kv_get", json!({"key": "none"})), "null");
    assert_eq!(client.text("kv_list", json!({"prefix": "k"})), "[\n  \"k\"\n]");
    assert_eq!(client.text("kv_delete", json!({"key": "k"})), "Deleted key: k");
    assert_eq!(client.call("kv_delete", json!({"key": "k"}))["structuredContent"]["deleted"], false);
    client.text("kv_set", json!({"key": "null", "value": null}));
    assert_eq!(client.call("kv_get", json!({"key": "null"}))["structuredContent"]["exists"], true);
    owner.stop();
}

#[test]
fn what_is_not_text_or_too_long_comes_whole_all_the_same() {
    let test = Test::with(PLAIN);
    let owner = test.ready();
    let mut client = Session::begun(&test);
    let bytes = "/wCAAQ==";
    client.text("write_file", json!({"path": "/bin", "content": bytes, "encoding": "base64"}));
    assert_eq!(client.failure("read_file", json!({"path": "/bin"})), "mcp::not-text");
    assert_eq!(client.text("read_file", json!({"path": "/bin", "encoding": "base64"})), bytes);
    assert_eq!(
        client.failure("write_file", json!({"path": "/x", "content": "?", "encoding": "base64"})),
        "mcp::arguments"
    );

    // In parts, none of which tears a character apart.
    let long = "añ€😀".repeat(60_000);
    client.text("write_file", json!({"path": "/long", "content": &long[..300_000]}));
    client.text("write_file", json!({"path": "/long", "content": &long[300_000..], "append": true}));
    for limit in [None, Some(1001), Some(1 << 20)] {
        let limit = limit.unwrap_or(131_072).max(50_000);
        let (mut offset, mut read, mut parts) = (0, String::new(), 0);
        loop {
            let result = client.call("read_file", json!({"path": "/long", "offset": offset, "limit": limit}));
            read += result["content"][0]["text"].as_str().unwrap();
            parts += 1;
            assert_eq!(result["structuredContent"]["size"], long.len());
            match result["structuredContent"]["next_offset"].as_u64() {
                Some(next) => {
                    assert!(result["content"][1]["text"].as_str().unwrap().contains(&format!("offset = {next}")));
                    offset = next;
                }
                None => break,
            }
        }
        assert!(read == long && (parts > 1 || limit > long.len() as u64), "{parts}");
    }
    assert_eq!(client.failure("read_file", json!({"path": "/long", "offset": 2})), "mcp::not-text");
    assert_eq!(client.text("read_file", json!({"path": "/long", "offset": 10_000_000})), "");
    owner.stop();
}

#[test]
fn long_lists_go_on_where_they_ended() {
    let test = Test::with(PLAIN);
    let owner = test.ready();
    let mut client = Session::begun(&test);
    let names: Vec<_> = (0..25).map(|number| format!("f{number:02}.rs")).collect();
    for name in &names {
        client.text("write_file", json!({"path": format!("/d/{name}"), "content": "", "create_dirs": true}));
        client.text("kv_set", json!({"key": name, "value": 1}));
    }
    let lists = [
        ("readdir", json!({"path": "/d"}), "entries"),
        ("find", json!({"path": "/d", "glob": "*.rs"}), "found"),
        ("kv_list", json!({"prefix": "f"}), "keys"),
    ];
    for (tool, mut arguments, field) in lists {
        arguments["limit"] = json!(10);
        let mut all = Vec::new();
        for expected in [10, 10, 5] {
            let result = client.call(tool, arguments.clone());
            let part = result["structuredContent"][field].as_array().unwrap().clone();
            assert_eq!(part.len(), expected, "{tool}");
            all.extend(part.into_iter().map(|one| one["name"].as_str().or(one.as_str()).unwrap().to_owned()));
            assert_eq!(result["structuredContent"]["next_after"].is_null(), expected == 5, "{tool}: {result}");
            arguments["after"] = result["structuredContent"]["next_after"].clone();
        }
        assert_eq!(all, names, "{tool}");
    }
    // Resources have pages of their own size.
    for number in 0..600 {
        client.text("write_file", json!({"path": format!("/e/{number:03} ü"), "content": "x", "create_dirs": true}));
    }
    let first = client.ask("resources/list", json!({}))["result"].clone();
    let second = client.ask("resources/list", json!({"cursor": first["nextCursor"]}))["result"].clone();
    let all: Vec<_> = [&first, &second].iter().flat_map(|page| page["resources"].as_array().unwrap().clone()).collect();
    assert_eq!((all.len(), &second["nextCursor"]), (625, &Value::Null));
    assert_eq!(
        (&all[0]["uri"], &all[624]["uri"]),
        (&json!("agentfs:///d/f00.rs"), &json!("agentfs:///e/599%20%C3%BC"))
    );
    let read = client.ask("resources/read", json!({"uri": all[624]["uri"]}));
    assert_eq!(read["result"]["contents"][0]["text"], "x");
    assert!(client.ask("resources/read", json!({"uri": "agentfs:///none"}))["error"]["message"].is_string());
    assert!(client.ask("resources/read", json!({"uri": "file:///etc/passwd"}))["error"]["message"].is_string());
    assert!(client.ask("resources/list", json!({"cursor": "?"}))["error"]["message"].is_string());
    owner.stop();
}

#[test]
fn no_path_leads_out_of_the_instance() {
    let test = Test::with(PLAIN);
    let owner = test.ready();
    let mut client = Session::begun(&test);
    fs::write(test.path("outside"), "secret").unwrap();
    let outside = test.path("outside");
    let climbing = format!("{}{}", "../".repeat(40), outside.display());
    for path in [outside.to_str().unwrap(), &climbing, "/proc/self/root/etc/passwd", "/etc/passwd"] {
        assert_eq!(client.failure("read_file", json!({"path": path})), "file::missing", "{path}");
        let uri = format!("agentfs://{path}");
        assert!(client.ask("resources/read", json!({"uri": uri}))["error"].is_object(), "{path}");
    }
    client.text("write_file", json!({"path": "../../../f", "content": "inside"}));
    assert_eq!(client.text("read_file", json!({"path": "/f"})), "inside");
    assert_eq!(fs::read_to_string(outside).unwrap(), "secret");
    owner.stop();
}

#[test]
fn only_what_is_allowed_is_listed_and_called_and_every_call_is_on_record() {
    let test = Test::with("mount.backend = \"none\"\nmcp.tools = [\"read_file\", \"stat\"]");
    let owner = test.ready();
    let mut client = Session::begun(&test);
    let tools = client.ask("tools/list", json!({}))["result"]["tools"].clone();
    let names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["read_file", "stat"]);
    assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
    assert_eq!(client.failure("write_file", json!({"path": "/f", "content": "canary"})), "mcp::not-allowed");
    assert_eq!(client.failure("read_file", json!({"path": "/f"})), "file::missing");
    assert_eq!(client.failure("read_file", json!({"path": "/f", "lines": 3})), "mcp::arguments");
    assert_eq!(client.failure("read_file", json!({})), "mcp::arguments");
    let unknown = client.ask("tools/call", json!({"name": "red_file", "arguments": {}}))["error"].clone();
    assert!(unknown["message"].as_str().unwrap().contains("read_file"), "{unknown}");

    let mut timeline = BufReader::new(UnixStream::connect(test.socket()).unwrap());
    let request = Request::Timeline(nixbox_control::TimelineRequest::default());
    timeline.get_mut().write_all(&encode(&request)).unwrap();
    timeline.get_mut().shutdown(Shutdown::Write).unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut timeline, &mut told).unwrap_or_default();
    assert_eq!(told.matches("\"mcp.read_file\"").count(), 3, "{told}");
    assert_eq!(told.matches("\"mcp.write_file\"").count(), 1);
    assert!(told.contains("\"duration_ms\":") && !told.contains("canary"));
    owner.stop();
}

#[test]
fn what_is_no_protocol_ends_nothing_but_itself() {
    let test = Test::with(PLAIN);
    let owner = test.ready();
    let mut client = Session::begun(&test);
    // Nothing says which request that was, so there is nothing to answer.
    client.say("this is no JSON");
    client.say(&"x".repeat(5 << 20));
    client.say("{\"jsonrpc\": \"2.0\"}");
    assert_eq!(client.hear()["error"]["code"], -32600);
    assert!(client.ask("no/such", json!({}))["error"]["code"].is_i64());
    assert_eq!(client.text("access", json!({"path": "/"})), "{\"exists\":true}");
    // What was asked before the end is answered, and then the owner closes, too.
    client.say(&json!({"jsonrpc": "2.0", "id": 77, "method": "ping"}).to_string());
    client.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.hear()["id"], 77);
    let mut rest = String::new();
    assert_eq!(client.stream.read_line(&mut rest).unwrap(), 0);
    let silent = Session::of(&test);
    let begun = Session::begun(&test);
    owner.stop();
    drop((silent, begun));
    test.assert_nothing_left();
}

#[test]
fn what_has_changed_is_told_in_parts() {
    let test = Test::with("mount.backend = \"none\"\nbase = \"project\"");
    let project = test.path("project");
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(project.join("src/main.rs"), "fn main() {\n    1;\n}\n").unwrap();
    fs::write(project.join("old"), "old\n").unwrap();
    fs::write(project.join("gone"), "gone\n").unwrap();
    let owner = test.ready();
    let mut client = Session::begun(&test);
    assert_eq!(client.text("status", json!({})), "Nothing has changed");
    assert_eq!(client.text("diff", json!({})), "Nothing has changed");

    client.text("write_file", json!({"path": "/src/main.rs", "content": "fn main() {\n    2;\n}\n"}));
    client.text("write_file", json!({"path": "/bin", "content": "/wAB", "encoding": "base64"}));
    client.text("rename", json!({"from": "/old", "to": "/src/new"}));
    client.text("remove", json!({"path": "/gone"}));
    let all = ["added: bin", "deleted: gone", "modified: src/main.rs", "renamed: old -> src/new"];
    assert_eq!(client.text("status", json!({})), all.join("\n"));
    let told = client.call("status", json!({"paths": ["src"]}))["structuredContent"].clone();
    let expected = json!({"path": "src/main.rs", "kind": "modified", "from": null, "content": true, "mode": false,
        "diverged": false, "size_before": 21, "size_after": 21});
    assert_eq!((&told["changes"][0], &told["next_after"]), (&expected, &Value::Null));
    assert_eq!(told["changes"].as_array().unwrap().len(), 2);

    // In parts, of which none is told twice or left out.
    let (mut parts, mut after) = (Vec::new(), Value::Null);
    loop {
        let part = client.call("status", json!({"limit": 1, "after": after}));
        parts.push(part["content"][0]["text"].as_str().unwrap().to_owned());
        after = part["structuredContent"]["next_after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(parts, all);

    let patch = client.text("diff", json!({"paths": ["*.rs"]}));
    assert!(patch.starts_with("diff --git a/src/main.rs b/src/main.rs\n") && patch.contains("-    1;\n+    2;\n"));
    let whole = client.call("diff", json!({}));
    let files = whole["structuredContent"]["files"].as_array().unwrap();
    assert_eq!(files.iter().map(|file| &file["path"]).collect::<Vec<_>>(), ["bin", "gone", "src/main.rs", "src/new"]);
    assert_eq!((&files[2]["added"], &files[2]["removed"], &files[0]["added"]), (&json!(1), &json!(1), &Value::Null));
    let whole = whole["content"][0]["text"].as_str().unwrap().to_owned();

    // A patch that is longer than one answer is cut at a line, and the next part goes on behind it.
    let long = "a line of it\n".repeat(500);
    client.text("write_file", json!({"path": "/zz", "content": long}));
    client.text("write_file", json!({"path": "/zzz", "content": "last\n"}));
    let part = client.call("diff", json!({"limit": 1024, "after": "src/new"}));
    assert_eq!(part["structuredContent"]["next_after"], "zz");
    let text = part["content"][0]["text"].as_str().unwrap();
    assert!(text.len() <= 1024 && text.len() > 900 && text.ends_with("+a line of it\n"), "{text}");
    assert!(part["content"][1]["text"].as_str().unwrap().contains("does not apply"));
    assert!(client.text("diff", json!({"after": "/zz"})).starts_with("diff --git a/zzz b/zzz\n"));
    assert!(client.text("diff", json!({})).starts_with(&whole));

    // Somebody else works on the base, too.
    fs::write(project.join("src/main.rs"), "fn main() {}\n").unwrap();
    let told = client.call("status", json!({"paths": ["src/main.rs"]}));
    assert_eq!(told["structuredContent"]["changes"][0]["diverged"], true);
    assert_eq!(client.failure("status", json!({"paths": ["a["]})), "file::pattern");
    assert_eq!(client.failure("diff", json!({"path": "src"})), "mcp::arguments");
    owner.stop();
}

#[test]
fn over_http_it_is_the_same_agent_with_the_token() {
    let test = Test::with("mount.backend = \"none\"\nhttp.port = 0");
    let owner = test.ready();
    let port = test.status().http.unwrap().address.port();
    let token = fs::read_to_string(test.path("run/sandbox.token")).unwrap().trim().to_owned();
    let post = |headers: &str, body: &str| {
        let accept = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
        let length = body.len();
        http(
            port,
            &format!(
                "POST /mcp HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n{accept}{headers}Content-Length: {length}\r\n\r\n{body}"
            ),
        )
    };
    let known = format!("Authorization: Bearer {token}\r\n");
    let ask = |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let (code, answer) = post(&known, &body);
        assert_eq!(code, 200, "{answer}");
        serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1.trim()).unwrap()
    };
    assert_eq!(post("", "{}").0, 401);
    assert_eq!(ask("initialize", hello())["result"]["serverInfo"]["name"], "nixbox");
    let write = json!({"name": "write_file", "arguments": {"path": "/f", "content": "over HTTP"}});
    assert_eq!(ask("tools/call", write)["result"]["isError"], false);
    let mut client = Session::begun(&test);
    assert_eq!(client.text("read_file", json!({"path": "/f"})), "over HTTP");
    // There are no sessions, and so no stream to wait on.
    let get = format!(
        "GET /mcp HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nAccept: text/event-stream\r\n{known}\r\n"
    );
    assert_eq!(http(port, &get).0, 405);
    assert_eq!(post(&known, &format!("\"{}\"", "x".repeat(5 << 20))).0, 413);
    assert_eq!(post(&known, "nonsense").0 / 100, 4);
    owner.stop();
}
