# flake-parts from a checkout: what one system's outputs would be.
{ lib, path }:
let
  flake-parts = import (/. + path + "/lib.nix") {
    inherit lib;
    builtinModules = lib.mapAttrs (file: _: /. + path + "/modules/${file}") (
      builtins.readDir (/. + path + "/modules")
    );
    extraModules = { };
  };
  pkgs = import ../pkgs { inherit lib; };
  self = {
    outPath = "/project";
    inputs = { };
  };
in
modules: perSystem:
let
  flake = flake-parts.mkFlake { inputs = { inherit self; }; } {
    systems = [ "x86_64-linux" ];
    imports = [ ../../../modules/flake-parts.nix ] ++ modules;
    perSystem.imports = [
      { _module.args.pkgs = lib.mkForce pkgs; }
      perSystem
    ];
  };
in
lib.genAttrs [ "packages" "devShells" "checks" ] (name: flake.${name}.x86_64-linux)
