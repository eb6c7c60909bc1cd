# `restart` of an instance or a job in the rendered document, in the words of
# devenv and process-compose. Neither knows what was stopped by hand.
kept:
let
  restart = kept.restart or { };
  is = builtins.elem (restart.on or "on-failure");
in
{
  devenv =
    if is [ "never" ] then
      "never"
    else if is [ "on-failure" ] then
      "on_failure"
    else
      "always";
  process-compose =
    # no number of restarts is one without end to it
    if is [ "never" ] || restart.max or 5 == 0 then
      "no"
    else if is [ "on-failure" ] then
      "on_failure"
    else
      "always";
  max = restart.max or 5;
}
