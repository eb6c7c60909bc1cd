# Commands that are kept running inside instances.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options.jobs = mkOption {
    type = types.attrsOf (types.submodule ./job.nix);
    default = { };
    example = literalExpression ''{ web = { instance = "sandbox"; exec = [ "npm" "run" "dev" ]; }; }'';
    description = "The jobs, by name: as instances are named, and none as one of them.";
  };
}
