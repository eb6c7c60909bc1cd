# One schedule for systemd: { unit; service; timer; }, three sections.
{ lib }:
{
  name,
  schedule, # of the rendered document
  document,
  helper, # the wrapper's program
}:
let
  nixbox = import ./lib { inherit lib; };
  times = nixbox.onCalendar schedule;
  instance = schedule.instance or document.default_instance or null;
in
{
  unit = lib.optionalAttrs (schedule ? exec && instance != null) {
    # It does not start the instance, and fails where that does not run.
    After = [ "agentfs-${instance}.service" ];
  };

  service = {
    Type = "oneshot";
    ExecStart = "${helper} schedule run --due ${name}";
    TimeoutStopSec = 15;
    KillMode = "mixed";
    UMask = "0077";
  };

  timer = {
    OnCalendar = times.calendar or (throw "schedule ${name}: ${times.refused}");
    Persistent = schedule.catch_up or false;
    # a minute otherwise
    AccuracySec = "1s";
  }
  // lib.optionalAttrs (schedule ? jitter) {
    RandomizedDelaySec = schedule.jitter;
    FixedRandomDelay = true;
  };
}
