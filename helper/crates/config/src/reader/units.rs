//! Jobs, and how they and instances are kept up.

use nixbox_report::codes;

use super::Table;
use crate::document::{
    At, BackoffDocument, HealthDocument, JobDocument, LogDocument, RestartDocument, ShareDocument, WatchDocument,
};
use crate::span::Span;

pub(super) fn job(table: &mut Table<'_, '_>) -> JobDocument {
    JobDocument {
        enable: table.flag("enable"),
        instance: table.text("instance"),
        exec: program(table),
        cwd: table.text("cwd"),
        env: table.texts("env"),
        depends_on: table.named_words("depends_on"),
        restart: table.table("restart", restart),
        health: table.table("health", health),
        watch: table.table("watch", watch),
        user: table.text("user"),
        stdin: table.text("stdin"),
        log: table.table("log", log),
        limits: table.table("limits", share),
    }
}

fn program(table: &mut Table<'_, '_>) -> Vec<At<String>> {
    let help = "write the program and its arguments, such as exec = [\"make\", \"watch\"]";
    let written =
        table.entries.iter().find(|entry| entry.name == "exec").map(|entry| (entry.line, entry.value.is_empty_list()));
    let list = table.list("exec");
    let wrong = match written {
        None => Some((table.line, "`exec` is missing")),
        Some((line, true)) => Some((line, "`exec` is empty")),
        Some((_, false)) => None,
    };
    if let Some((line, what)) = wrong {
        let _: Option<()> = table.report(&codes::CONFIG_VALUE, line, "exec", what.into(), help);
    }
    list
}

fn watch(table: &mut Table<'_, '_>) -> WatchDocument {
    WatchDocument {
        paths: table.list("paths"),
        ignore: table.list("ignore"),
        debounce: table.span("debounce", Span::millis(10)),
    }
}

pub(super) fn restart(table: &mut Table<'_, '_>) -> RestartDocument {
    RestartDocument {
        on: table.word("on"),
        max: table.integer("max", 0, 1_000_000),
        window: table.span("window", Span::seconds(1)),
        backoff: table.table("backoff", backoff),
    }
}

fn backoff(table: &mut Table<'_, '_>) -> BackoffDocument {
    let least = Span::millis(10);
    BackoffDocument {
        min: table.span("min", least),
        max: table.span("max", least),
        factor: table.integer("factor", 1, 100),
    }
}

pub(super) fn health(table: &mut Table<'_, '_>) -> HealthDocument {
    HealthDocument {
        exec: table.list("exec"),
        http: table.text("http"),
        interval: table.span("interval", Span::millis(100)),
        timeout: table.span("timeout", Span::millis(10)),
        retries: table.integer("retries", 1, 1000),
        start_period: table.span("start_period", Span::millis(0)),
    }
}

pub(super) fn share(table: &mut Table<'_, '_>) -> ShareDocument {
    ShareDocument {
        cpu: table.processors("cpu"),
        memory: table.size("memory"),
        pids: table.integer("pids", 1, 4_194_304),
        timeout: table.span("timeout", Span::millis(10)),
    }
}

fn log(table: &mut Table<'_, '_>) -> LogDocument {
    LogDocument { max_size: table.size("max_size"), keep: table.integer("keep", 0, 100) }
}
