//! `/mcp`: MCP over HTTP. Every request stands by itself, so there are no sessions to keep, to bound or to steal; who
//! is asked is the same agent that answers on standard input.

use std::sync::Arc;

use axum::Router;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use super::Surface;
use crate::mcp::{Agent, MAX_MESSAGE};

pub(super) fn routed(router: Router<Surface>, surface: &Surface) -> Router<Surface> {
    let agent = Agent::new(surface.instance.clone(), surface.desk.clone(), surface.stop.clone());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_MESSAGE)
        // Host and Origin were looked at before anything came here.
        .disable_allowed_hosts();
    let service =
        StreamableHttpService::new(move || Ok(agent.clone()), Arc::new(NeverSessionManager::default()), config);
    router.route_service("/mcp", service)
}
