# services.agentfs.instances.<name>.enable; services-flake brings its own.
{ lib, ... }:
{
  options.enable = lib.mkOption {
    type = lib.types.bool;
    default = true;
    example = false;
    description = "Whether this instance is brought up. A disabled one keeps its data and has no process.";
  };
}
