# What a template amounts to, evaluated as its host would, with stand-ins for the inputs that only a network has:
# the document that the owner reads, and what the host runs.
{
  folder, # an instantiated template
  root, # the project that devenv takes it for
}:
let
  lib = import ../nix/lib;
  nixbox = import ../../modules/lib { inherit lib; };
  pkgs = import ../nix/pkgs { inherit lib; };
  dir = /. + folder;

  nixpkgs = {
    inherit lib;
    legacyPackages = lib.genAttrs [ "aarch64-linux" "x86_64-linux" ] (_: pkgs);
  };
  self = (import ../../flake.nix).outputs { inherit self nixpkgs; };

  devenv =
    flakeMode:
    import ../nix/hosts/small-devenv.nix {
      inherit lib root flakeMode;
      typed = true;
    };
  process-compose = import ../nix/hosts/small-process-compose.nix { inherit lib; };

  document = config: nixbox.toTOML (nixbox.render config.services.agentfs);
  of-devenv = config: {
    toml = document config;
    runs = config.processes.agentfs-sandbox.exec;
    inherit (config) env;
  };

  outputs = (import (dir + "/flake.nix")).outputs;
in
{
  devenv =
    of-devenv
      (devenv false [
        ../../modules/devenv.nix
        (import (dir + "/devenv.nix"))
      ]).config;

  flake =
    let
      shells = outputs {
        inherit nixpkgs;
        nixbox = self;
        devenv.lib.mkShell = { modules, ... }: (devenv true modules).config;
      };
    in
    of-devenv shells.devShells.x86_64-linux.default;

  process-compose =
    let
      mkFlake =
        _inputs: module:
        let
          declared = module.perSystem {
            inherit pkgs;
            config.process-compose.default = evaluated.config;
          };
          evaluated = process-compose [ declared.process-compose.default ];
        in
        {
          inherit (evaluated) config;
          shell = declared.devShells.default.name;
        };
      made = outputs {
        flake-parts.lib = { inherit mkFlake; };
        process-compose-flake.flakeModule = { };
        nixbox = self;
      };
    in
    builtins.seq made.shell {
      toml = document made.config;
      runs = made.config.settings.processes.agentfs-sandbox.command;
    };
}
