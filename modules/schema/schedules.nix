# What is run at certain times.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options.schedules = mkOption {
    type = types.attrsOf (types.submodule ./schedule.nix);
    default = { };
    example = literalExpression ''{ nightly = { cron = "0 3 * * *"; run = [ "sync" "push" ]; }; }'';
    description = ''
      What is run at certain times, by name: as instances are named, and none as one of them, or as a job. On NixOS and with
      home-manager each is a timer of systemd; elsewhere one process keeps them all.
    '';
  };
}
