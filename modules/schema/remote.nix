# services.agentfs.remotes.<name>.
{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    url = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "libsql://team.example.org";
      description = ''
        Where it is: `libsql://…` or `https://…`; `http://…` on this machine, elsewhere only with `insecure`. Needed, but
        of one that is served here, where it is `http://127.0.0.1:PORT`.
      '';
    };

    tokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/team";
      description = ''
        The file that holds the token, relative to the project root. A string, so that nothing is copied to the Nix
        store; the owner reads it when it first needs it. At most one of `tokenFile`, `tokenCommand` and `tokenEnv` is set.
        Of a remote that is served here it is made where it is missing, and lies in its folder where nothing is said.
      '';
    };

    tokenCommand = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "pass" "show" "team" ]'';
      description = "A program and its arguments, run without a shell in the project root, that prints the token.";
    };

    tokenEnv = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "TEAM_TOKEN";
      description = ''
        The name of the environment variable that holds the token when the owner starts. Where nothing is said it is
        `TURSO_DB_AUTH_TOKEN`, and none is sent where that is not set.
      '';
    };

    insecure = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Allow `http://` to another machine. Whoever is on the way reads the token and everything else.";
    };

    serve = mkOption {
      type = types.nullOr (
        types.submodule {
          imports = [ ./serve.nix ];
          _module.args = { inherit pkgs; };
        }
      );
      default = null;
      example = literalExpression "{ port = 8080; }";
      description = ''
        Serves the remote from this machine, as one more process: `tursodb --sync-server` on a database in
        `dataDir/remotes/NAME`, behind a proxy on `127.0.0.1` that asks for the token. Instances that sync with it start
        when it is ready. Null: it is somebody else's.
      '';
    };
  };
}
