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
_inputs: flake: {
  devShells = lib.genAttrs flake.systems (
    _:
    (lib.evalModules {
      modules = [
        outputs
        flake.perSystem
      ];
    }).config.devShells
  );
}
