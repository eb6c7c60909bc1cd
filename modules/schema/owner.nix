# How owners run. A module of plain options, for wherever they are declared.
{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    package = mkOption {
      type = types.package;
      default = pkgs.nixbox or (pkgs.callPackage ../../helper/package.nix { });
      defaultText = literalExpression "pkgs.nixbox or (pkgs.callPackage ./helper/package.nix { })";
      example = literalExpression "inputs.nixbox.packages.\${pkgs.stdenv.hostPlatform.system}.default";
      description = "The package that holds `nixbox-helper` and `nixbox-owner`.";
    };

    logLevel = mkOption {
      type = types.enum [
        "error"
        "warn"
        "info"
        "debug"
        "trace"
      ];
      default = "info";
      example = "debug";
      description = "How much owners log.";
    };
  };
}
