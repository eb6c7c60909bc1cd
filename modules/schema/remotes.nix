# What instances can be synced with. A module of plain options, for wherever instances are declared.
{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    remotes = mkOption {
      type = types.attrsOf (
        types.submodule {
          imports = [ ./remote.nix ];
          # a submodule has none by itself
          _module.args = { inherit pkgs; };
        }
      );
      default = { };
      example = literalExpression ''{ team.url = "libsql://team.example.org"; }'';
      description = "The databases that instances are synced with, by name: lower case letters, digits, `-` and `_`, at most 63.";
    };
  };
}
