# services.agentfs.instances.<name>.hooks
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  # In the words of `hooks` in nixbox.toml, one for one.
  when = {
    created = "after its database was made";
    ready = "when it can be used, each time that it comes up";
    unhealthy = "when its `health` check has failed too often, where `nixbox-helper up` keeps it up";
    restarted = "when it was started again because it had ended, or was not well, where `nixbox-helper up` keeps it up";
    stopped = "when its owner has ended, and nothing is mounted or held any more; not where that was killed";
    exec = "after a command in it, by `nixbox-helper exec` or a job";
    snapshot = "after a snapshot was made of it";
    sync = "after a sync that changed something, here or on the remote";
    conflict = "after a sync that found something which both sides changed in different ways";
  };
in
{
  options.hooks = lib.mapAttrs (
    event: when:
    mkOption {
      type = types.listOf (types.listOf types.str);
      default = [ ];
      example = literalExpression ''[ [ "notify-send" "${event}" ] ]'';
      description = ''
        Commands that are run ${when}. Each is a program and its arguments, run without a shell in the project root, one
        after another, with a JSON object on its standard input and 30 seconds to end. One that fails is told by
        `nixbox-helper hooks`, and keeps nobody.
      '';
    }
  ) when;
}
