//! The ways in that an owner offers beside the mount: HTTP and MCP.

use std::net::{IpAddr, Ipv4Addr};

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, HttpDocument, McpDocument};
use crate::origin::Origin;
use crate::project::Http;
use crate::tree::join;
use crate::words::McpTool;

impl Resolver<'_> {
    pub(super) fn http(&mut self, key: &str, table: &HttpDocument) -> Http {
        let bind = self.pick(key, "bind", table.bind.as_ref(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = self.pick(key, "port", table.port.as_ref(), 0);
        let expose = self.pick(key, "expose", table.expose.as_ref(), false);
        if let Some(At { value, line }) = table.bind.as_ref().filter(|at| !at.value.is_loopback() && !expose) {
            let what = format!("{value} is not a loopback address");
            let failure = Failure::new(&codes::CONFIG_EXPOSED, what).why("other machines could reach the instance");
            let help = "write \"127.0.0.1\" or \"::1\", or allow it with `expose = true`";
            self.problems.at(*line, &join(key, "bind"), failure.help(help));
        }
        let hosts = self.hosts(join(key, "hosts"), &table.hosts);
        Http { bind, port, expose, hosts }
    }

    pub(super) fn hosts(&mut self, key: String, written: &[At<String>]) -> Vec<String> {
        for At { value, line } in written.iter().filter(|at| !is_host(&at.value)) {
            let what = format!("{value:?} is not possible as the name of a machine");
            let help = "write it in lower case, without a port: \"box.example.org\"";
            self.report(&codes::CONFIG_VALUE, *line, &key, what, help);
        }
        let hosts: Vec<_> = written.iter().map(|at| at.value.clone()).collect();
        let origin = written.first().map_or(Origin::Default, |at| Origin::File { line: at.line });
        self.setting(|| (key, Some(hosts.join(" "))), origin);
        hosts
    }

    pub(super) fn mcp_tools(&mut self, key: &str, written: Option<&At<McpDocument>>) -> Vec<McpTool> {
        let written = written.and_then(|at| Some((at.line, at.value.tools.as_ref()?)));
        let (mut tools, origin) = match written {
            Some((line, tools)) => {
                let line = tools.first().map_or(line, |at| at.line);
                (tools.iter().map(|at| at.value).collect(), Origin::File { line })
            }
            None => (McpTool::ALL.to_vec(), Origin::Default),
        };
        tools.sort_unstable();
        tools.dedup();
        let names = || tools.iter().map(|tool| tool.as_str()).collect::<Vec<_>>().join(" ");
        self.setting(|| (join(key, "tools"), Some(names())), origin);
        tools
    }
}

/// As it stands in a Host header, without a port.
fn is_host(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| inside(byte) && byte.is_ascii_alphanumeric());
    name.len() <= 253 && name.bytes().all(inside) && edge(name.bytes().next()) && edge(name.bytes().last())
}
