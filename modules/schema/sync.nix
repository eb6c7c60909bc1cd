# services.agentfs.instances.<name>.sync, where it is not null.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.remote = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "team";
    description = "The name of one of `services.agentfs.remotes`. Needed.";
  };
}
