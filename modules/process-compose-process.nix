# One owner as a process-compose process.
{ lib, pkgs }:
{
  name,
  package,
  configFile,
  instance,
}:
let
  # Probes do not get a process's environment: the command and the probe run
  # the same wrapper instead.
  helper = lib.getExe (
    import ./wrapper.nix { inherit pkgs; } {
      name = "agentfs-${name}";
      inherit package configFile;
    }
  );
  restart = import ./restart-words.nix instance;
in
{
  command = "exec ${helper} serve ${name}";
  readiness_probe = {
    # gives up by itself, before process-compose does
    exec.command = "${helper} ready ${name} --timeout 2";
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
