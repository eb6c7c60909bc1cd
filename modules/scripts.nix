# The commands a devenv shell gains.
{ cfg, helper }:
{
  agentfs-info = {
    description = "What is declared and what is running";
    exec = ''exec ${helper} info "$@"'';
  };

  agentfs-url = {
    description = "The address of an instance's HTTP surface";
    exec = ''exec ${helper} url "$@"'';
  };

  agentfs-cli = {
    description = "Upstream's agentfs command, with AGENTFS_EXTRA_ARGS";
    exec =
      if cfg.cliPackage == null then
        ''
          echo "agentfs-cli: no upstream agentfs here: services.agentfs.cliPackage is not set" >&2
          echo "help: set it to a package that has bin/agentfs; nixpkgs has none" >&2
          exit 8
        ''
      else
        # unquoted on purpose: several arguments in one variable
        ''exec ${cfg.cliPackage}/bin/agentfs $AGENTFS_EXTRA_ARGS "$@"'';
  };
}
