# restart: of an instance and of a job.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  span = types.strMatching "[0-9]+ ?(ms|s|min|h)";
  orDefault =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };
  on = types.enum [
    "never"
    "on-failure"
    "always"
    "unless-stopped"
  ];
in
{
  options.restart = {
    on = orDefault on "always" ''
      After which ends it is started again. `unless-stopped` is as `always`, but `nixbox-helper up` leaves alone what
      was stopped by hand until somebody names it; other process managers know no difference. Null: `on-failure`.
    '';

    max =
      orDefault (types.ints.between 0 1000000) 10
        "So many restarts within `window`; after that it is left as it is. Null: 5.";

    window = orDefault span "5min" ''
      The time in which restarts are counted. Null: one minute. devenv and process-compose count from the first start on.
    '';

    backoff = {
      min =
        orDefault span "1s"
          "How long to wait before the first restart. Null: 500 ms; under systemd two seconds.";
      max =
        orDefault span "1min"
          "How long to wait before any. Null: 30 seconds. For `nixbox-helper up`.";
      factor =
        orDefault (types.ints.between 1 100) 3
          "So many times as long each time. Null: 2. For `nixbox-helper up`.";
    };
  };
}
