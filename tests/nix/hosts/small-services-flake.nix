# services-flake's multiService in small, around our service.
{ lib }:
let
  inherit (lib) mkOption types;
  pkgs = import ../pkgs { inherit lib; };
  base =
    { name, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = false;
        };
        dataDir = mkOption {
          type = types.str;
          default = "./data/${name}";
        };
        outputs.settings = mkOption { type = types.anything; };
      };
    };
  multi =
    { config, ... }:
    {
      options.services.agentfs = mkOption {
        default = { };
        type = types.attrsOf (
          types.submoduleWith {
            specialArgs = { inherit pkgs; };
            modules = [
              base
              ../../../modules/services-flake/agentfs.nix
            ];
          }
        );
      };
      config.settings = lib.mkMerge (
        map (s: s.outputs.settings) (
          lib.attrValues (lib.filterAttrs (_: s: s.enable) config.services.agentfs)
        )
      );
    };
in
import ./small-process-compose.nix {
  inherit lib;
  extra = [ multi ];
}
