use std::net::TcpListener;

use serde_json::Value;

use crate::support::Test;

/// What doctor has found of that subject.
fn found(doctor: &Value, subject: &str) -> Vec<(String, String)> {
    let findings = doctor["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = findings.iter().filter(|finding| finding["subject"] == subject);
    of.map(|finding| (text(&finding["grade"]), text(&finding["found"]))).collect()
}

#[test]
fn doctor_asks_the_http_surface_itself() {
    let test = Test::new().config(
        "[instances.a]\nmount.backend = \"none\"\nhttp.port = 0\n[instances.b]\nmount.backend = \"none\"\n\
         http = { bind = \"0.0.0.0\", expose = true }\n",
    );
    test.run("up -d").success();
    let url = test.run("url a").success().stdout.trim().to_owned();
    let doctor = test.run("doctor --json").success().json();
    let a = found(&doctor, "instance a");
    assert!(a.contains(&("ok".into(), format!("{url} answers (200)"))), "{a:?}");
    let b = found(&doctor, "instance b");
    assert!(b.iter().any(|(grade, said)| grade == "warn" && said.contains("other machines reach")), "{b:?}");
    assert!(b.iter().any(|(grade, said)| grade == "ok" && said.ends_with("answers (200)")), "{b:?}");
    test.run("down").success();
}

#[test]
fn doctor_finds_a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let test = Test::new().config(&format!("[instances.a]\nmount.backend = \"none\"\nhttp.port = {port}\n"));
    let doctor = test.run("doctor --json").code(8).json();
    let a = found(&doctor, "instance a");
    assert!(a.iter().any(|(grade, said)| grade == "fail" && said.contains(&format!("127.0.0.1:{port}"))), "{a:?}");
}

#[test]
fn mcp_needs_an_instance_with_a_database() {
    let test = Test::bare(&["a"]);
    test.run("mcp").stdout("").stderr("nixbox::database::missing").stderr("nixbox-helper init a").code(3);
    test.run("init").success();
    test.run("mcp").stdout("").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}
