# flake-parts' perSystem in small.
{ lib }:
let
  inherit (lib) mkOption types;
  pkgs = import ../pkgs { inherit lib; };
  outputs = {
    options = lib.genAttrs [ "packages" "devShells" "checks" ] (
      _:
      mkOption {
        type = types.attrsOf types.package;
        default = { };
      }
    );
    config._module.args = { inherit pkgs; };
  };
  # declares `perSystem` as the one module we hand it
  flake-parts-lib.mkPerSystemOption = module: module;
in
modules: perSystem:
let
  ours = (import ../../../modules/flake-parts.nix { inherit flake-parts-lib; }).options.perSystem;
  theirs = map (m: (m { inherit flake-parts-lib; }).options.perSystem) modules;
in
(lib.evalModules {
  modules = [
    outputs
    ours
  ]
  ++ theirs
  ++ [ perSystem ];
}).config
