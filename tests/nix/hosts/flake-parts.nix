# flake-parts from a checkout: its mkFlake on a stand-in for nixpkgs, and one
# system's outputs of our module.
{ lib }:
path:
let
  flake-parts = import (/. + path + "/lib.nix") {
    inherit lib;
    builtinModules = lib.mapAttrs (file: _: /. + path + "/modules/${file}") (
      builtins.readDir (/. + path + "/modules")
    );
    extraModules = { };
  };
  pkgs = import ../pkgs {
    inherit lib;
    names = [ "process-compose" ];
  };
  self = {
    outPath = "/project";
    inputs = { };
  };
in
rec {
  mkFlake =
    _inputs: module:
    flake-parts.mkFlake { inputs = { inherit self; }; } {
      imports = [ module ];
      perSystem._module.args.pkgs = lib.mkForce pkgs;
    };

  perSystem =
    modules: perSystem:
    let
      flake = mkFlake { } {
        systems = [ "x86_64-linux" ];
        imports = [ ../../../modules/flake-parts.nix ] ++ modules;
        inherit perSystem;
      };
    in
    lib.genAttrs [ "packages" "devShells" "checks" ] (name: flake.${name}.x86_64-linux);
}
