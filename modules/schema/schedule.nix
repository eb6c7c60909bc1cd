# services.agentfs.schedules.<name>.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  optional =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether it is run by itself.";
    };

    cron = optional types.str "0 3 * * *" ''
      When, in the five fields of cron (minute, hour, day of the month, month, day of the week), with seconds before them or
      seconds before and years after them, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Of a day of the month
      and one of the week either is enough. Either this or `at`.
    '';

    at = optional types.str "2026-11-21T06:45:00Z" ''
      Once, at a point in time as RFC 3339 has it. For systemd it ends with `Z`.
    '';

    timezone = optional types.str "Europe/Berlin" ''
      Whose clocks `cron` is read by. Null: the machine's.
    '';

    run = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "sync" "push" ]'';
      description = "What is run: a verb of `nixbox-helper` with its arguments. Either this or `exec`.";
    };

    exec = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "make" "index" ]'';
      description = "Or a program and its arguments, run in an instance as `nixbox-helper exec` runs one.";
    };

    instance = optional types.str "sandbox" "The instance that `exec` runs in. Null: the default one.";

    overlap =
      optional
        (types.enum [
          "skip"
          "queue"
          "allow"
        ])
        "queue"
        ''
          What happens when its time comes while it still runs: `skip` leaves that one out, `queue` runs it when the other has
          ended, of several one, and `allow` runs it beside the other. Null: `skip`, which is all that systemd has.
        '';

    jitter = optional types.str "10min" ''
      Up to so much later than `cron` or `at` says. Null: not at all.
    '';

    catchUp = optional types.bool true ''
      Run it once for all the times that have come while nothing kept it, or the machine slept. Null: false.
    '';
  };
}
