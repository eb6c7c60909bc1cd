# One owner, or one remote, as a devenv process, whatever devenv it is.
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
  probe = ready: "${helper} ${ready} --timeout 2";
  patience = 5;
  # With one probe a second this is a minute to come up. process-compose takes
  # the threshold as fatal, the native manager ignores it.
  attempts = 60;

in
{
  # what comes after `nixbox-helper`
  serve,
  ready,
  # processes that are there before this one starts, and how far
  needs ? { },
  # what it needs is made first; a remote, which is none, makes it itself
  instance ? null,
  # of the rendered document, for its `restart`
  kept ? { },
  ...
}:
let
  restart = import ./restart-words.nix kept;
in
lib.mkMerge [
  {
    # 1.x knows no order between tasks and processes
    exec = "${
      lib.optionalString (!typed && instance != null) "${helper} init ${instance} && "
    }exec ${helper} ${serve}";
  }
  (lib.optionalAttrs typed {
    # no `notify`, no `timeout`: under process-compose both would switch this probe off
    ready = {
      exec = probe ready;
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
    after =
      lib.optional (instance != null) "agentfs:init"
      ++ lib.mapAttrsToList (
        needed: wanted: "devenv:processes:${needed}${lib.optionalString (wanted != "ready") "@${wanted}"}"
      ) needs;
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
        exec.command = probe ready;
        period_seconds = 1;
        timeout_seconds = patience;
        failure_threshold = attempts;
      };
      availability = {
        restart = restart.process-compose;
        max_restarts = restart.max;
      };
    }
    // lib.optionalAttrs (needs != { }) {
      depends_on = lib.mapAttrs (_: import ./condition-words.nix) needs;
    };
  })
]
