# What a job waits for and how it is watched, in the words that process managers share.
{ lib }:
document:
let
  defaultInstance = document.default_instance or null;

  # "90s" -> 90, rounded up
  seconds =
    span:
    let
      parts = builtins.match "([0-9]+) ?(ms|s|min|h)" span;
      millis =
        {
          ms = 1;
          s = 1000;
          min = 60000;
          h = 3600000;
        }
        .${builtins.elemAt parts 1};
    in
    (builtins.fromJSON (builtins.elemAt parts 0) * millis + 999) / 1000;
in
rec {
  inherit seconds;

  jobs = lib.filterAttrs (_: job: job.enable or true) (document.jobs or { });

  isInstance = name: document.instances ? ${name};

  # What runs an instance or a job is called so here.
  processName = name: if isInstance name then "agentfs-${name}" else "agentfs-job-${name}";

  # Each by its process, with how far it has to be. What has no probe is ready when it has started.
  byProcess = lib.mapAttrs' (
    name: wanted:
    lib.nameValuePair (processName name) (
      if wanted == "ready" && !(isInstance name) && !(jobs.${name} ? health) then "started" else wanted
    )
  );
  needs =
    job: byProcess ((job.depends_on or { }) // { ${job.instance or defaultInstance} = "ready"; });

  probe = helper: name: job: {
    exec.command = "${helper} job --probe ${name}";
    period_seconds = seconds (job.health.interval or "10s");
    timeout_seconds = seconds (job.health.timeout or "5s");
    failure_threshold = job.health.retries or 3;
    initial_delay_seconds = seconds (job.health.start_period or "0ms");
  };

  # As process-compose wants it.
  processCompose =
    helper: name: job:
    {
      depends_on = lib.mapAttrs (_: import ./condition-words.nix) (needs job);
      availability =
        let
          restart = import ./restart-words.nix job;
        in
        {
          restart = restart.process-compose;
          max_restarts = restart.max;
        };
      shutdown.timeout_seconds = 15;
    }
    // lib.optionalAttrs (job ? health) { readiness_probe = probe helper name job; };
}
