# services.agentfs.instances.<name>.hooks
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  commands = types.listOf (types.listOf types.str);
  how = ''
    Each is a program and its arguments, run without a shell in the project root, one after another, with a JSON object
    on its standard input and 30 seconds to end. One that fails is told in `nixbox-helper sync log`, and keeps nobody.
  '';
in
{
  options.hooks = {
    sync = mkOption {
      type = commands;
      default = [ ];
      example = literalExpression ''[ [ "notify-send" "synced" ] ]'';
      description = "Commands that are run after a sync that changed something, here or on the remote. ${how}";
    };

    conflict = mkOption {
      type = commands;
      default = [ ];
      example = literalExpression ''[ [ "notify-send" "-u" "critical" "in conflict" ] ]'';
      description = "Commands that are run after a sync that found something which both sides changed in different ways. ${how}";
    };
  };
}
