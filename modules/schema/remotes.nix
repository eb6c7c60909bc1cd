# What instances can be synced with. A module of plain options, for wherever instances are declared.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    remotes = mkOption {
      type = types.attrsOf (types.submodule ./remote.nix);
      default = { };
      example = literalExpression ''{ team.url = "libsql://team.example.org"; }'';
      description = "The databases that instances are synced with, by name: lower case letters, digits, `-` and `_`, at most 63.";
    };
  };
}
