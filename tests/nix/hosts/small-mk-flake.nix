# flake-parts' mkFlake with process-compose-flake's option, in small.
{ lib }:
let
  inherit (lib) mkOption types;
  pkgs = import ../pkgs { inherit lib; };
  process-compose = types.submoduleWith {
    specialArgs = { inherit pkgs; };
    modules = [
      {
        options.settings.processes = mkOption {
          type = types.attrsOf types.anything;
          default = { };
        };
      }
    ];
  };
  outputs = {
    options = {
      process-compose = mkOption {
        type = types.attrsOf process-compose;
        default = { };
      };
      devShells = mkOption {
        type = types.attrsOf types.package;
        default = { };
      };
    };
    config._module.args = { inherit pkgs; };
  };
in
_inputs: flake:
let
  system =
    (lib.evalModules {
      modules = [
        outputs
        flake.perSystem
      ];
    }).config;
  each = value: lib.genAttrs flake.systems (_: value);
in
{
  devShells = each system.devShells;
  packages = each (
    builtins.mapAttrs (
      name: pc: pkgs.writeText name (builtins.toJSON pc.settings)
    ) system.process-compose
  );
}
