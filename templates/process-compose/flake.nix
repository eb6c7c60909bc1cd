{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    flake-parts.url = "github:hercules-ci/flake-parts";
    process-compose-flake.url = "github:Platonic-Systems/process-compose-flake";
    nixbox.url = "github:nixbox-dev/nixbox";
    nixbox.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    inputs:
    inputs.flake-parts.lib.mkFlake { inherit inputs; } {
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      imports = [ inputs.process-compose-flake.flakeModule ];

      perSystem =
        { config, pkgs, ... }:
        let
          inherit (config.process-compose.default.services) agentfs;
        in
        {
          # `nix run` brings the instance up and mounts it at .agentfs/mnt.
          process-compose.default = {
            imports = [ inputs.nixbox.processComposeModules.default ];
            services.agentfs = {
              enable = true;
              dataDir = ".agentfs";
              instances.sandbox.mount.path = ".agentfs/mnt";
            };
          };

          # `nix develop` has nixbox-helper, and AGENTFS_* as it prints them.
          devShells.default = pkgs.mkShell {
            packages = [ agentfs.package ];
            shellHook = ''
              export NIXBOX_CONFIG=${agentfs.configFile}
              eval "$(nixbox-helper env)"
            '';
          };
        };
    };
}
