# One owner, or one remote, as a process-compose process.
{ lib, pkgs }:
{
  name, # of the process
  # what comes after `nixbox-helper`
  serve,
  ready,
  # processes that are there before this one starts, and how far
  needs ? { },
  package,
  configFile,
  # of the rendered document, for its `restart`
  kept ? { },
  ...
}:
let
  # Probes do not get a process's environment: the command and the probe run
  # the same wrapper instead.
  helper = lib.getExe (
    import ./wrapper.nix { inherit pkgs; } {
      inherit name package configFile;
    }
  );
  restart = import ./restart-words.nix kept;
in
{
  command = "exec ${helper} ${serve}";
  readiness_probe = {
    # gives up by itself, before process-compose does
    exec.command = "${helper} ${ready} --timeout 2";
    period_seconds = 1;
    timeout_seconds = 5;
    # as many failures in a row are fatal: a minute to come up
    failure_threshold = 60;
  };
  availability = {
    restart = restart.process-compose;
    max_restarts = restart.max;
  };
  shutdown.timeout_seconds = 15;
}
// lib.optionalAttrs (needs != { }) {
  depends_on = lib.mapAttrs (_: import ./condition-words.nix) needs;
}
