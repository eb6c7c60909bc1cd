# services.agentfs.jobs.<name>.watch
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    paths = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "src" "Cargo.toml" ]'';
      description = "Files and folders with all in them, from the project folder as the job sees it. Empty: that folder.";
    };

    ignore = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "target/" "*.log" ]'';
      description = ''
        What of these does not matter, as patterns of a `.gitignore` without `!`, from the project folder on. `.git` and
        what `exclude` hides never matter.
      '';
    };

    debounce = mkOption {
      type = types.nullOr (types.strMatching "[0-9]+ ?(ms|s|min|h)");
      default = null;
      example = "1s";
      description = ''
        So long nothing more may have changed before it is started anew, so that a change of many files is one.
        Null: 300 ms.
      '';
    };
  };
}
