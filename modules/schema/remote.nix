# services.agentfs.remotes.<name>.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    url = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "libsql://team.example.org";
      description = "Where it is, and needed: `libsql://…` or `https://…`; `http://…` on this machine, elsewhere only with `insecure`.";
    };

    tokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/team";
      description = ''
        The file that holds the token, relative to the project root. A string, so that nothing is copied to the Nix
        store; the owner reads it when it first needs it. At most one of `tokenFile`, `tokenCommand` and `tokenEnv` is set.
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
  };
}
