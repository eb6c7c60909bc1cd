# What `devenv up` runs, built by this machine's tools from devenv's own modules.
{
  libPath,
  devenv,
  names, # JSON
  root,
  helper, # the built nixbox-helper
  tasks, # devenv-tasks
  manager ? null,
}:
let
  lib = import (/. + libPath);
  host = import ./hosts/devenv.nix {
    inherit lib manager root;
    source = /. + devenv;
    names = builtins.fromJSON names;
    cli = "2.3.0";
    real = true;
    programs.devenv-tasks = tasks;
  };
  project = host [
    ../../devenv.nix
    (
      { pkgs, ... }:
      {
        services.agentfs = {
          enable = true;
          package = import ./this-build.nix { inherit pkgs helper; };
          instances.sandbox.mount.path = ".agentfs/mnt";
        };
        # starts when devenv itself has seen the instance ready
        processes.dependent = {
          exec = "date +%s.%N > $DEVENV_ROOT/dependent; exec sleep 1000";
          after = [ "devenv:processes:agentfs-sandbox" ];
        };
      }
    )
  ];
in
{
  tasks = project.config.task.config;
  # the config file is to be built as well, so it travels as a dependency
  process-compose = project.pkgs.writeText "process-compose.yaml" project.config.process.managers.process-compose.configFile.text;
  environment = project.pkgs.writeText "environment" (
    lib.concatStrings (
      lib.mapAttrsToList (name: value: "export ${name}=${lib.escapeShellArg (toString value)}\n") (
        removeAttrs project.config.env [
          "DEVENV_TASKS"
          "DEVENV_PROFILE"
        ]
      )
    )
  );
}
