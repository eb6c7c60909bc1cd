//! One file a verb: what it takes, what it decides, what it answers.

pub mod ask_http;
pub mod attach;
pub mod completions;
pub mod config;
pub mod cp;
pub mod df;
pub mod diff;
pub mod docs;
pub mod doctor;
pub mod down;
pub mod env;
pub mod events;
pub mod exec;
pub mod export;
pub mod fs;
pub mod fsck;
pub mod hook;
pub mod hooks;
pub mod import;
pub mod info;
pub mod init;
pub mod inspect;
pub mod instance;
pub mod job;
mod job_watched;
pub mod kill;
pub mod kv;
pub mod label;
pub mod logs;
pub mod man;
pub mod mcp;
pub mod migrate;
pub mod new;
pub mod pause;
pub mod port;
pub mod prune;
pub mod ps;
mod ps_filter;
mod ps_format;
mod ps_remote;
pub mod quickstart;
pub mod ready;
pub mod rekey;
pub mod remote;
pub mod rename;
pub mod render;
pub mod restart;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod serve;
pub mod snapshot;
pub mod start;
pub mod stats;
pub mod status;
pub mod stop;
pub mod supervise;
pub mod sync;
pub mod timeline;
pub mod tool;
pub mod top;
pub mod unmount;
pub mod unpause;
pub mod up;
pub mod update;
pub mod url;
pub mod wait;
pub mod watch_folders;

use nixbox_report::Report;

use crate::cli::Verb;
use crate::context::Context;

/// The exit code of a verb that did what it was asked, and found what it found.
pub const DONE: u8 = 0;

pub fn run(verb: Verb, context: &Context) -> Result<u8, Report> {
    match verb {
        Verb::Exec(args) => exec::run(args, context),
        Verb::Run(args) => run::run(args, context),
        Verb::Init(args) => init::run(args, context),
        Verb::Serve(args) => serve::run(args, context),
        Verb::Env(args) => env::run(args, context),
        Verb::Wait(args) => wait::run(args, context),
        Verb::Ready(args) => ready::run(args, context),
        Verb::Ps(args) => ps::run(args, context),
        Verb::Up(args) => up::run(args, context),
        Verb::Down(args) => down::run(args, context),
        Verb::Stop(args) => stop::run(args, context),
        Verb::Start(args) => start::run(args, context),
        Verb::Restart(args) => restart::run(args, context),
        Verb::Attach(args) => attach::run(args, context),
        Verb::Pause(args) => pause::run(args, context),
        Verb::Update(args) => update::run(args, context),
        Verb::Unpause(args) => unpause::run(args, context),
        Verb::Stats(args) => stats::run(args, context),
        Verb::Top(args) => top::run(args, context),
        Verb::Inspect(args) => inspect::run(args, context),
        Verb::Port(args) => port::run(args, context),
        Verb::Logs(args) => logs::run(args, context),
        Verb::Events(args) => events::run(args, context),
        Verb::Kill(args) => kill::run(args, context),
        Verb::Job(args) => job::run(args, context),
        Verb::Schedule(args) => schedule::run(args, context),
        Verb::Hooks(args) => hooks::run(args, context),
        Verb::Hook(args) => hook::run(args, context),
        Verb::Supervise(args) => supervise::run(args, context),
        Verb::AskHttp(args) => ask_http::run(args, context),
        Verb::Unmount(args) => unmount::run(args, context),
        Verb::Config(args) => config::run(args, context),
        Verb::Render(args) => render::run(args, context),
        Verb::Doctor(args) => doctor::run(args, context),
        Verb::Info(args) => info::run(args, context),
        Verb::Url(args) => url::run(args, context),
        Verb::Status(args) => status::run(args, context),
        Verb::Diff(args) => diff::run(args, context),
        Verb::Cp(args) => cp::run(args, context),
        Verb::Label(args) => label::run(args, context),
        Verb::Rename(args) => rename::run(args, context),
        Verb::Prune(args) => prune::run(args, context),
        Verb::Df(args) => df::run(args, context),
        Verb::Fs(args) => fs::run(args, context),
        Verb::Instance(args) => instance::run(args, context),
        Verb::Kv(args) => kv::run(args, context),
        Verb::Snapshot(args) => snapshot::run(args, context),
        Verb::Sync(args) => sync::run(args, context),
        Verb::Remote(args) => remote::run(args, context),
        Verb::Rekey(args) => rekey::run(args, context),
        Verb::Tool(args) => tool::run(args, context),
        Verb::Timeline(args) => timeline::run(args, context),
        Verb::Mcp(args) => mcp::run(args, context),
        Verb::Export(args) => export::run(args, context),
        Verb::Import(args) => import::run(args, context),
        Verb::Fsck(args) => fsck::run(args, context),
        Verb::Migrate(args) => migrate::run(args, context),
        Verb::New(args) => new::run(args, context),
        Verb::Quickstart(args) => quickstart::run(args, context),
        Verb::Completions(args) => completions::run(args, context),
        Verb::Man(args) => man::run(args, context),
        Verb::Schema(args) => schema::run(args, context),
        Verb::Docs(args) => docs::run(args, context),
        Verb::WatchFolders(args) => watch_folders::run(args),
    }
}
