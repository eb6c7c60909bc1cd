# One owner as a devenv process, whatever devenv it is.
{
  helper, # nixbox-helper
  lib,
  # The options that a process has here. What is not declared fails even below
  # `mkIf false`, hence optionalAttrs.
  has,
}:
let
  typed = has ? ready; # since 2.0 devenv itself supervises

  # The probe gives up by itself, well before a manager's patience ends: a
  # manager that abandons a probe may leave it running for ever.
  probe = name: "${helper} ready ${name} --timeout 2";
  patience = 5;
  # With one probe a second this is a minute to come up. process-compose takes
  # the threshold as fatal, the native manager ignores it.
  attempts = 60;

in
name: instance:
let
  restart = import ./restart-words.nix instance;
in
lib.mkMerge [
  {
    # 1.x knows no order between tasks and processes
    exec = "${lib.optionalString (!typed) "${helper} init ${name} && "}exec ${helper} serve ${name}";
  }
  (lib.optionalAttrs typed {
    # no `notify`, no `timeout`: under process-compose both would switch this probe off
    ready = {
      exec = probe name;
      period = 1;
      probe_timeout = patience;
      failure_threshold = attempts;
    };
    # `window` stays unset for the same reason
    restart = {
      on = restart.devenv;
      inherit (restart) max;
    };
    # without a suffix: process-compose refuses "@succeeded"
    after = [ "agentfs:init" ];
  })
  # 2.0 to 2.2: the native manager's five seconds are enough, if need be
  (
    if has ? shutdown then
      { shutdown.grace = 15; }
    else
      { process-compose.shutdown.timeout_seconds = 15; }
  )
  (lib.optionalAttrs (!typed) {
    process-compose = {
      readiness_probe = {
        exec.command = probe name;
        period_seconds = 1;
        timeout_seconds = patience;
        failure_threshold = attempts;
      };
      availability = {
        restart = restart.process-compose;
        max_restarts = restart.max;
      };
    };
  })
]
