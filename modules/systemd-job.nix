# One job for systemd: { unit; service; }, its two sections.
{ lib }:
{
  name,
  job,
  cfg,
  helper, # the wrapper's program
}:
let
  restart = import ./systemd-restart.nix { inherit lib; } job.restart;
  instance = if job.instance == null then cfg.defaultInstance else job.instance;
  unit = name: "agentfs-${if cfg.instances ? ${name} then name else "job-${name}"}.service";
  limits = import ./systemd-limits.nix { inherit lib; } job cfg.instances.${instance};
  needs = map unit (lib.attrNames job.dependsOn);

  # What somebody waits for the end of: systemd knows that of a oneshot alone.
  isAwaited = lib.any (other: other.enable && other.dependsOn.${name} or "" == "completed") (
    lib.attrValues cfg.jobs ++ lib.attrValues cfg.instances
  );
in
{
  unit = {
    # what lives in an instance goes with it
    BindsTo = [ (unit instance) ];
    Requires = needs;
    After = [ (unit instance) ] ++ needs;
  }
  // restart.limit;

  service = {
    Type = if isAwaited then "oneshot" else "exec";
    ExecStart = "${helper} job ${name}";
    # a oneshot is never started again for having ended well
    Restart = if isAwaited && restart.on == "always" then "on-failure" else restart.on;
    RestartSec = restart.seconds;
    TimeoutStopSec = 15;
    KillMode = "mixed";
    UMask = "0077";
  }
  // limits
  // lib.optionalAttrs isAwaited { RemainAfterExit = true; };
}
