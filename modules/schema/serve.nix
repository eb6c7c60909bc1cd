# services.agentfs.remotes.<name>.serve, where it is not null.
{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "False: it is not served, as if `serve` were null.";
    };

    port = mkOption {
      type = types.port;
      default = 7440;
      example = 8080;
      description = "The port on `127.0.0.1`.";
    };

    package = mkOption {
      type = types.nullOr types.package;
      default = pkgs.callPackage ../../helper/tursodb.nix { };
      defaultText = literalExpression "pkgs.callPackage ./helper/tursodb.nix { }";
      example = literalExpression "inputs.nixbox.packages.\${pkgs.stdenv.hostPlatform.system}.tursodb";
      description = "The package that holds `tursodb`; the default one is for `x86_64-linux`. Null: the one on `PATH`.";
    };

    hosts = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "sync.example.org" ]'';
      description = ''
        What this machine may be called by, beside `localhost` and its loopback addresses: the name under which a
        proxy with TLS in front passes requests on.
      '';
    };

    walAlarm = mkOption {
      type = types.nullOr (
        types.either (types.strMatching "0*[1-9][0-9]* ?([KkMmGgTt][Ii]?[Bb]|[Bb])?") types.ints.positive
      );
      default = null;
      example = "2GiB";
      description = "Warn when the database's log is larger; null: `1GiB`. It keeps every change for ever.";
    };
  };
}
