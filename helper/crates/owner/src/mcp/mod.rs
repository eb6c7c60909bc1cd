//! The instance for agents: the Model Context Protocol, written once, over whatever carries it.

mod answer;
mod arguments;
mod call;
mod catalogue;
mod files;
mod find;
mod kv;
mod resources;
mod review;
mod stream;

use std::sync::Arc;

use nixbox_config::{Instance, McpTool};
use nixbox_report::{Failure, codes};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use crate::desk::Desk;
use crate::stop::Stop;

pub(crate) use stream::serve;

/// What a client may send at once, and with it the most that it can make this process keep of it.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;

#[derive(Clone)]
pub(crate) struct Agent {
    instance: Arc<Instance>,
    desk: Desk,
    stop: Stop,
}

impl Agent {
    pub(crate) fn new(instance: Arc<Instance>, desk: Desk, stop: Stop) -> Self {
        Self { instance, desk, stop }
    }

    fn allows(&self, tool: McpTool) -> bool {
        self.instance.mcp_tools.contains(&tool)
    }

    fn instructions(&self) -> String {
        let Instance { name, description, base, .. } = &*self.instance;
        let about = if description.is_empty() { String::new() } else { format!(" ({description})") };
        let over = match base {
            Some(_) => " It lies over a real folder, which nothing here changes.",
            None => "",
        };
        format!(
            "The files and the key-value state of the AgentFS instance `{name}`{about}. Paths begin at its root, \"/\"; \
             nothing outside of it can be reached.{over} Long answers are cut, and say how to go on."
        )
    }
}

impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let implementation = Implementation::new("nixbox", env!("CARGO_PKG_VERSION")).with_title("nixbox AgentFS");
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(self.instructions())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let allowed = McpTool::ALL.iter().filter(|tool| self.allows(**tool));
        Ok(ListToolsResult::with_all_items(allowed.map(|tool| catalogue::tool(*tool)).collect()))
    }

    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Ok(tool) = asked.name.parse::<McpTool>() else {
            let names: Vec<_> = McpTool::ALL.iter().filter(|tool| self.allows(**tool)).map(|it| it.as_str()).collect();
            let message = format!("there is no tool {:?}; there are {}", asked.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = asked.arguments.unwrap_or_default();
        let allowed = self.allows(tool).then_some(()).ok_or_else(|| {
            Failure::new(&codes::MCP_NOT_ALLOWED, format!("the tool `{}` may not be called", tool.as_str()))
                .why(format!("`mcp.tools` of instance `{}` does not name it", self.instance.name))
                .help("use the tools that are listed")
        });
        Ok(call::call(self, tool, arguments, allowed).await.into())
    }

    async fn list_resources(
        &self,
        asked: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(self, asked.and_then(|asked| asked.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()]))
    }

    async fn read_resource(
        &self,
        asked: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(self, asked.uri).await.map(Into::into)
    }
}
