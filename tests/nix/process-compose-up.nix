# The file that process-compose-flake writes, built by this machine's tools.
{
  libPath,
  pcf,
  names, # JSON
  helper, # the built nixbox-helper
}:
let
  lib = import (/. + libPath);
  host = import ./hosts/process-compose.nix {
    inherit lib;
    path = pcf;
    names = builtins.fromJSON names;
    real = true;
  };
  project = host [
    ../../modules/process-compose.nix
    (
      { pkgs, ... }:
      {
        services.agentfs = {
          enable = true;
          package = import ./this-build.nix { inherit pkgs helper; };
          dataDir = ".agentfs";
          instances.sandbox.mount.path = ".agentfs/mnt";
        };
        settings.processes.dependent = {
          command = "date +%s.%N > dependent; exec sleep 1000";
          depends_on.agentfs-sandbox.condition = "process_healthy";
        };
      }
    )
  ];
in
{
  yaml = project.config.outputs.settingsFile;
  inherit (project.config.services.agentfs) configFile;
}
