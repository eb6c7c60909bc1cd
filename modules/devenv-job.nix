# One job as a devenv process, whatever devenv it is.
{
  helper, # nixbox-helper
  lib,
  jobs, # job-process.nix of the document
  # The options that a process has here.
  has,
}:
name: job:
let
  restart = import ./restart-words.nix job;
  probe = jobs.probe helper name job;
in
lib.mkMerge [
  { exec = "exec ${helper} job ${name}"; }
  (
    # since 2.0 devenv itself supervises
    if has ? ready then
      {
        restart = {
          on = restart.devenv;
          inherit (restart) max;
        };
        after = lib.mapAttrsToList (needed: wanted: "devenv:processes:${needed}@${wanted}") (
          jobs.needs job
        );
      }
      // lib.optionalAttrs (job ? health) {
        ready = {
          exec = probe.exec.command;
          period = probe.period_seconds;
          probe_timeout = probe.timeout_seconds;
          inherit (probe) failure_threshold;
          initial_delay = probe.initial_delay_seconds;
        };
      }
      // lib.optionalAttrs (has ? shutdown) { shutdown.grace = 15; }
    else
      { process-compose = jobs.processCompose helper name job; }
  )
]
