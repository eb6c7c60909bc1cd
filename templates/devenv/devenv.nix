{
  services.agentfs = {
    enable = true;

    # One AgentFS database, mounted at .agentfs/mnt while `devenv up` runs.
    instances.sandbox.mount.path = ".agentfs/mnt";
  };
}
