# devenv's own modules, from a checkout, as its CLI or its flake integration
# evaluates them.
{
  lib,
  source, # path
  names, # packages its modules mention by name
  cli ? null, # the CLI's version; null: flake mode
  manager ? null,
  root ? "/project",
  real ? false,
  programs ? { },
}:
let
  pkgs = import ../pkgs {
    inherit
      lib
      names
      programs
      real
      ;
  };
  inputs = {
    self.outPath = root;
    nixpkgs = { inherit lib; };
  };
  maybe = lib.optionalAttrs;

  as-called =
    { config, options, ... }:
    {
      config = lib.mkMerge [
        {
          _module.args.pkgs = pkgs.appendOverlays (config.overlays or [ ]);
          _module.args.devenvPrimops = { };
          devenv.root = root;
          devenv.dotfile = lib.mkForce "${root}/.devenv";
          devenv.flakesIntegration = cli == null;
        }
        (maybe (options.devenv ? tmpdir) { devenv.tmpdir = "/tmp"; })
        (maybe (options.devenv ? warnOnNewVersion) { devenv.warnOnNewVersion = false; })
        (maybe (cli != null && options.devenv ? cli) { devenv.cli.version = cli; })
        (maybe (cli != null && !(options.devenv ? cli)) { devenv.cliVersion = cli; })
        # its default fetches a nixpkgs of devenv's own and builds Rust
        (maybe (options ? task && options.task ? package) {
          task.package = lib.mkForce (
            pkgs.devenv-tasks or (pkgs.writeShellScriptBin "devenv-tasks" "exit 127")
          );
        })
        (maybe (manager != null) { process.manager.implementation = manager; })
        (maybe (options ? git && options.git ? root) { git.root = lib.mkDefault root; })
      ];
    };
  # 1.x wants an input for it, whether or not a hook is declared.
  no-git-hooks = {
    disabledModules = [ (source + "/src/modules/integrations/git-hooks.nix") ];
    options.git-hooks = lib.mkOption {
      type = lib.types.anything;
      default = { };
    };
  };
in
modules:
let
  project = lib.evalModules {
    class = "devenv";
    specialArgs = inputs // {
      inherit inputs;
      secretspec = null;
    };
    modules = [
      (source + "/src/modules/top-level.nix")
      as-called
      no-git-hooks
    ]
    ++ modules;
  };
in
{
  inherit pkgs;
  inherit (project) config options;
  tasks = builtins.fromJSON (builtins.unsafeDiscardStringContext project.config.task.config.text);
}
