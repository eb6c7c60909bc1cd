# The schema alone, on either library: modules -> { config; options; }
{ lib }:
let
  pkgs = import ./pkgs { inherit lib; };
in
modules:
let
  result = lib.evalModules {
    specialArgs = { inherit pkgs; };
    modules = [ ../../modules/schema ] ++ modules;
  };
in
{
  inherit (result) options;
  cfg = result.config.services.agentfs;
}
