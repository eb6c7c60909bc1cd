# Runs on the small devenv (1.x and 2.x) and on real checkouts, in flake mode
# and as the CLI calls it, under both managers.
{
  lib,
  check,
  devenv, # modules -> { config; options; … }
  ...
}:
let
  package = check.package "nixbox" "/package";
  cli = check.package "agentfs" "/upstream";
  of =
    agentfs:
    (devenv [
      ./devenv.nix
      {
        services.agentfs = {
          enable = true;
          inherit package;
        }
        // agentfs;
      }
    ]);

  one = of {
    cliPackage = cli;
    instances.sandbox.http.port = 7420;
  };
  two = of {
    dataDir = "./data";
    runtimeDir = "/run/x";
    defaultInstance = "a-b";
    instances = {
      a-b.mount.path = "m";
      c = {
        mount.backend = "none";
        http = { };
      };
      off.enable = false;
    };
  };
  off = devenv [
    ./devenv.nix
    { services.agentfs.instances.sandbox = { }; }
  ];
  bad = of {
    defaultInstance = "nobody";
    instances.Bad = { };
  };

  served = of {
    remotes.team.serve = {
      port = 7440;
      package = null;
    };
    remotes.cloud.url = "https://cloud.example.org";
    instances = {
      a.sync.remote = "team";
      b.sync.remote = "cloud";
    };
  };

  process = one.config.processes.agentfs-sandbox;
  typed = process ? ready;
  flakeMode = one.config.devenv.flakesIntegration;
  helper = "/package/bin/nixbox-helper";
  probe = "${helper} ready sandbox --timeout 2";
  ours = lib.filterAttrs (name: _: lib.hasPrefix "AGENTFS_" name);
  agentfs = p: lib.filter (lib.hasPrefix "agentfs-") (lib.attrNames p);
  messages =
    d:
    map (a: a.message) (
      lib.filter (a: !a.assertion && lib.hasPrefix "services.agentfs" a.message) d.config.assertions
    );
in
{
  "a process serves its instance in the foreground" = check.equal process.exec (
    if typed then
      "exec ${helper} serve sandbox"
    else
      "${helper} init sandbox && exec ${helper} serve sandbox"
  );

  "readiness is the helper's own probe, every second" =
    if typed then
      check.equal
        {
          inherit (process.ready)
            exec
            period
            probe_timeout
            failure_threshold
            ;
          # both would switch the probe off under process-compose
          notify = process.ready.notify or false;
          timeout = process.ready.timeout or null;
          window = process.restart.window or null;
        }
        {
          exec = probe;
          period = 1;
          probe_timeout = 5;
          failure_threshold = 60;
          notify = false;
          timeout = null;
          window = null;
        }
    else
      check.equal process.process-compose.readiness_probe {
        exec.command = probe;
        period_seconds = 1;
        timeout_seconds = 5;
        failure_threshold = 60;
      };

  "a failing owner is restarted five times" =
    if typed then
      check.equal { inherit (process.restart) on max; } {
        on = "on_failure";
        max = 5;
      }
    else
      check.equal process.process-compose.availability {
        restart = "on_failure";
        max_restarts = 5;
      };

  "schedules are kept by one process, where there are any" =
    let
      with' =
        schedules:
        (of {
          instances.sandbox = { };
          inherit schedules;
        }).config.processes;
    in
    check.equal
      {
        with' =
          (with' {
            a = {
              cron = "@daily";
              run = [ "status" ];
            };
          }).agentfs-schedules.exec;
        without = (with' { }) ? agentfs-schedules;
      }
      {
        with' = "exec ${helper} schedule keep";
        without = false;
      };
  "a job waits for what it needs, and is restarted as it says" =
    let
      job =
        (of {
          instances.sandbox = { };
          jobs.seed.exec = [ "x" ];
          jobs.web = {
            exec = [ "x" ];
            dependsOn.seed = "completed";
            restart.on = "never";
            health = {
              exec = [ "y" ];
              interval = "1500ms";
            };
          };
        }).config.processes.agentfs-job-web;
    in
    if typed then
      check.equal
        {
          inherit (job) exec after;
          inherit (job.restart) on max;
          inherit (job.ready) period failure_threshold;
          probe = job.ready.exec;
        }
        {
          exec = "exec ${helper} job web";
          after = [
            "devenv:processes:agentfs-job-seed@completed"
            "devenv:processes:agentfs-sandbox@ready"
          ];
          on = "never";
          max = 5;
          period = 2;
          failure_threshold = 3;
          probe = "${helper} job --probe web";
        }
    else
      check.equal
        {
          inherit (job.process-compose) depends_on availability;
          inherit (job) exec;
        }
        {
          depends_on = {
            agentfs-sandbox.condition = "process_healthy";
            agentfs-job-seed.condition = "process_completed_successfully";
          };
          availability = {
            restart = "no";
            max_restarts = 5;
          };
          exec = "exec ${helper} job web";
        };

  "an owner has time to unmount" =
    if process ? shutdown then
      check.equal process.shutdown.grace 15
    else
      check.equal process.process-compose.shutdown.timeout_seconds 15;

  "init is upstream, without a suffix" =
    if typed then check.equal process.after [ "agentfs:init" ] else null;
  "init is one task" = check.equal one.config.tasks."agentfs:init".exec "${helper} init";

  "no $ where a manager would expand it" = check.that (
    !(lib.hasInfix "$" (process.exec + probe))
  ) process.exec;

  "a served remote is one more process" =
    let
      remote = served.config.processes.agentfs-remote-team;
    in
    check.equal
      {
        names = agentfs served.config.processes;
        inherit (remote) exec;
        probe = if typed then remote.ready.exec else remote.process-compose.readiness_probe.exec.command;
      }
      {
        names = [
          "agentfs-a"
          "agentfs-b"
          "agentfs-remote-team"
        ];
        exec = "exec ${helper} remote serve team";
        probe = "${helper} remote ready team --timeout 2";
      };
  "who syncs with it starts when it is ready, and nobody else" =
    let
      waits =
        name:
        let
          inherit (served.config.processes) agentfs-a agentfs-b agentfs-remote-team;
          it = { inherit agentfs-a agentfs-b agentfs-remote-team; }.${name};
        in
        if typed then it.after else it.process-compose.depends_on or { };
    in
    check.equal
      (map waits [
        "agentfs-a"
        "agentfs-b"
        "agentfs-remote-team"
      ])
      (
        if typed then
          [
            [
              "agentfs:init"
              "devenv:processes:agentfs-remote-team"
            ]
            [ "agentfs:init" ]
            [ ]
          ]
        else
          [
            { agentfs-remote-team.condition = "process_healthy"; }
            { }
            { }
          ]
      );

  "one process for each enabled instance" = check.equal (agentfs two.config.processes) [
    "agentfs-a-b"
    "agentfs-c"
  ];

  "environment of one instance" =
    let
      state = "${one.config.devenv.state}/agentfs";
      runtime = "${one.config.devenv.runtime}/agentfs";
      expected = {
        ENABLED = "1";
        ID = "sandbox";
        DATA_DIR = state;
        DB_NAME = "sandbox.db";
        DB = "${state}/sandbox.db";
        MOUNT = "${state}/mnt/sandbox";
        SOCKET = "${runtime}/sandbox.sock";
        HOST = "127.0.0.1";
        PORT = "7420";
        URL = "http://127.0.0.1:7420";
        TOKEN_FILE = "${runtime}/sandbox.token";
        LOG_LEVEL = "info";
      };
      with' = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}_${name}") expected;
    in
    check.equal (ours one.config.env) (with' "AGENTFS" // with' "AGENTFS_SANDBOX");

  "environment of two instances" =
    let
      env = two.config.env;
      root = two.config.devenv.root;
    in
    check.equal
      {
        inherit (env)
          AGENTFS_ID
          AGENTFS_MOUNT
          AGENTFS_A_B_MOUNT
          AGENTFS_A_B_DB
          AGENTFS_C_SOCKET
          AGENTFS_C_TOKEN_FILE
          ;
        absent = lib.filter (name: env ? ${name}) [
          "AGENTFS_C_MOUNT"
          "AGENTFS_C_PORT"
          "AGENTFS_C_URL"
          "AGENTFS_A_B_TOKEN_FILE"
          "AGENTFS_OFF_ID"
        ];
      }
      {
        AGENTFS_ID = "a-b";
        AGENTFS_MOUNT = "${root}/m";
        AGENTFS_A_B_MOUNT = "${root}/m";
        AGENTFS_A_B_DB = "${root}/data/a-b.db";
        AGENTFS_C_SOCKET = "/run/x/c.sock";
        AGENTFS_C_TOKEN_FILE = "/run/x/c.token";
        absent = [ ];
      };

  "settings and an instance's own variables reach the environment" =
    let
      inherit
        ((of {
          settings.log_level = "debug";
          instances.a = {
            env.PIP_CACHE_DIR = "/tmp/pip";
            settings.mount.path = "elsewhere";
          };
        }).config
        )
        env
        ;
    in
    check.equal
      {
        inherit (env) AGENTFS_LOG_LEVEL PIP_CACHE_DIR;
        mount = lib.hasSuffix "/elsewhere" env.AGENTFS_MOUNT;
      }
      {
        AGENTFS_LOG_LEVEL = "debug";
        PIP_CACHE_DIR = "/tmp/pip";
        mount = true;
      };

  "NIXBOX_CONFIG names the rendered file" =
    check.equal one.config.env.NIXBOX_CONFIG one.config.services.agentfs.configFile.outPath;

  "the shell has the helper and upstream's command" = check.that (
    lib.elem package one.config.packages && lib.elem cli one.config.packages
  ) "not among packages";

  "scripts" =
    check.equal
      (lib.mapAttrs (_: s: s.exec) (
        lib.filterAttrs (name: _: lib.hasPrefix "agentfs-" name) one.config.scripts
      ))
      {
        agentfs-info = ''exec ${helper} info "$@"'';
        agentfs-url = ''exec ${helper} url "$@"'';
        agentfs-cli = ''exec /upstream/bin/agentfs $AGENTFS_EXTRA_ARGS "$@"'';
      };
  "without cliPackage, agentfs-cli says what to set" =
    let
      text = two.config.scripts.agentfs-cli.exec;
    in
    check.that (lib.hasInfix "cliPackage" text && lib.hasInfix "exit 8" text) text;

  "shell entry runs nothing where all is static" = check.that (
    !(lib.hasInfix "nixbox-helper" one.config.enterShell)
  ) one.config.enterShell;
  "shell entry runs nothing without HTTP" =
    let
      text = (of { instances.a = { }; }).config.enterShell;
    in
    check.that (!(lib.hasInfix "nixbox-helper" text)) text;
  "shell entry asks for a picked port" =
    check.that (lib.hasInfix "$(${helper} env 2>/dev/null)" two.config.enterShell) two.config.enterShell;

  "the test waits and probes" =
    let
      text = two.config.enterTest;
      says = lib.hasInfix;
    in
    check.that (
      if flakeMode then
        says "${helper} config check" text && !(says "wait --all" text)
      else
        says "${helper} wait --all --timeout 60\n${helper} ready a-b --timeout 5\n${helper} ready c --timeout 5" text
    ) text;

  "disabled: nothing is there" =
    check.equal
      {
        processes = agentfs off.config.processes;
        env = ours off.config.env;
        scripts = lib.filter (lib.hasPrefix "agentfs-") (lib.attrNames off.config.scripts);
      }
      {
        processes = [ ];
        env = { };
        scripts = [ ];
      };

  "what is wrong is refused" = check.equal (builtins.length (messages bad)) 2;
  "what is right is not" = check.equal (messages one ++ messages two) [ ];
}
// lib.optionalAttrs (one ? tasks) {
  "the native manager's graph has init before the process" =
    let
      task = name: lib.filter (t: t.name == name) one.tasks;
      after = map (t: t.after) (task "devenv:processes:agentfs-sandbox");
    in
    check.equal
      {
        init = builtins.length (task "agentfs:init");
        inherit after;
      }
      {
        init = 1;
        after = if typed then [ [ "agentfs:init" ] ] else after;
      };
}
//
  lib.optionalAttrs
    (one.config ? process && one.config.process.manager.implementation == "process-compose")
    {
      "process-compose probes, restarts and gives time" =
        let
          it = one.config.process.managers.process-compose.settings.processes.agentfs-sandbox;
        in
        check.equal
          {
            probe = it.readiness_probe.exec.command;
            period = it.readiness_probe.period_seconds;
            failures = it.readiness_probe.failure_threshold;
            restart = it.availability.restart;
            grace = it.shutdown.timeout_seconds >= 15;
          }
          {
            inherit probe;
            period = 1;
            failures = 60;
            restart = "on_failure";
            grace = true;
          };
    }
