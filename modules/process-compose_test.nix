{
  lib,
  check,
  process-compose, # modules -> { config; written; }
  ...
}:
let
  package = check.package "nixbox" "/package";
  of =
    agentfs:
    process-compose [
      ./process-compose.nix
      {
        services.agentfs = {
          inherit package;
        }
        // agentfs;
      }
    ];
  two = of {
    enable = true;
    instances = {
      a = { };
      b = { };
      off.enable = false;
    };
  };
  served = of {
    enable = true;
    remotes.team.serve = {
      port = 7440;
      package = null;
    };
    instances.a.sync.remote = "team";
  };
  process = two.written.processes.agentfs-a;
  wrapper = lib.removeSuffix " ready a --timeout 2" process.readiness_probe.exec.command;
in
{
  "a served remote is one more process, and who syncs with it waits for it" =
    let
      inherit (served.written.processes) agentfs-a agentfs-remote-team;
    in
    check.that (
      lib.hasSuffix "/bin/agentfs-remote-team remote serve team" agentfs-remote-team.command
      && lib.hasSuffix " remote ready team --timeout 2" agentfs-remote-team.readiness_probe.exec.command
      && agentfs-a.depends_on.agentfs-remote-team.condition == "process_healthy"
    ) (builtins.toJSON served.written.processes);
  "one process for each enabled instance" = check.equal (lib.attrNames two.written.processes) [
    "agentfs-a"
    "agentfs-b"
  ];
  "command and probe are the same program" =
    check.that (lib.hasSuffix "/bin/agentfs-a" wrapper) process.readiness_probe.exec.command;
  "the command is in the foreground" = check.that (
    !(process.is_daemon or false) && lib.hasInfix "agentfs-a" process.command
  ) process.command;
  "a minute to come up" =
    check.equal
      {
        inherit (process.readiness_probe) period_seconds timeout_seconds failure_threshold;
      }
      {
        period_seconds = 1;
        timeout_seconds = 5;
        failure_threshold = 60;
      };
  "a failing owner is restarted five times" =
    check.equal
      {
        inherit (process.availability) restart max_restarts;
      }
      {
        restart = "on_failure";
        max_restarts = 5;
      };
  "an instance waits for what it needs, too, and no restart is none" =
    check.equal
      (
        let
          b =
            (of {
              enable = true;
              defaultInstance = "a";
              instances.a = { };
              instances.b = {
                dependsOn = {
                  a = "ready";
                  seed = "completed";
                };
                restart.max = 0;
              };
              jobs.seed.exec = [ "x" ];
            }).written.processes.agentfs-b;
        in
        {
          inherit (b) depends_on;
          inherit (b.availability) restart;
        }
      )
      {
        depends_on = {
          agentfs-a.condition = "process_healthy";
          agentfs-job-seed.condition = "process_completed_successfully";
        };
        restart = "no";
      };
  "a job waits for what it needs, and is restarted as it says" =
    check.equal
      (
        let
          job =
            (of {
              enable = true;
              instances.a = { };
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
            }).written.processes.agentfs-job-web;
        in
        {
          inherit (job) depends_on availability;
          inherit (job.readiness_probe) period_seconds failure_threshold;
          runs = lib.hasSuffix " job web" job.command;
        }
      )
      {
        depends_on = {
          agentfs-a.condition = "process_healthy";
          agentfs-job-seed.condition = "process_completed_successfully";
        };
        availability = {
          restart = "no";
          max_restarts = 5;
        };
        period_seconds = 2;
        failure_threshold = 3;
        runs = true;
      };
  "schedules are kept by one process" =
    let
      inherit
        ((of {
          enable = true;
          instances.a = { };
          schedules.nightly = {
            cron = "@daily";
            run = [ "status" ];
          };
        }).written.processes
        )
        agentfs-schedules
        ;
    in
    check.that (lib.hasSuffix " schedule keep" agentfs-schedules.command) agentfs-schedules.command;
  "an owner has time to unmount" = check.equal process.shutdown.timeout_seconds 15;
  "no $ that would be expanded" = check.that (
    !(lib.hasInfix "$" (process.command + process.readiness_probe.exec.command))
  ) process.command;
  "disabled: nothing is there" = check.equal ((of { instances.a = { }; }).config.settings.processes
  ) { };
  "what is wrong is refused" = check.throws (
    lib.attrNames
      (of {
        enable = true;
        instances.Bad = { };
      }).written.processes
  );
  "beside services-flake it points to the service" = check.throws (
    lib.attrNames
      (process-compose [
        ./process-compose.nix
        {
          options.services.outputs.devShell = lib.mkOption { default = null; };
          config.services.agentfs = {
            enable = true;
            inherit package;
          };
        }
      ]).written.processes
  );
}
