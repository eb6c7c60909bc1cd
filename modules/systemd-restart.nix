# `restart` of an instance or a job, as systemd says it. What was stopped by
# hand stays so under every policy: that is how systemd is.
{ lib }:
restart: {
  on =
    if restart.on == "never" then
      "no"
    else if restart.on == "on-failure" then
      "on-failure"
    else
      "always";

  # a span of ours is one of systemd's, but for the blank
  seconds =
    if restart.backoff.min == null then 2 else lib.replaceStrings [ " " ] [ "" ] restart.backoff.min;

  # these belong into [Unit]
  limit = {
    StartLimitIntervalSec =
      if restart.window == null then 60 else lib.replaceStrings [ " " ] [ "" ] restart.window;
    StartLimitBurst = (if restart.max == null then 5 else restart.max) + 1;
  };
}
