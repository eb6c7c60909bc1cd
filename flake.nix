{
  description = "Declarative, reviewable AgentFS instances for devenv, flakes, NixOS and home-manager";

  # The only input: what development needs is in dev/flake.nix, so that nobody
  # who uses nixbox locks it.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # A host module, with the package this flake locks; elsewhere, and without
      # flakes, modules/schema builds it from the user's own nixpkgs.
      withPackage =
        file:
        { lib, pkgs, ... }:
        {
          key = "nixbox ${baseNameOf file}";
          imports = [ file ];
          config.services.agentfs.package =
            let
              mine = self.packages.${pkgs.stdenv.hostPlatform.system} or null;
            in
            # not optionalAttrs: `pkgs` must not decide what a module defines
            lib.mkIf (mine != null) (lib.mkDefault mine.default);
        };
    in
    {
      packages = eachSystem (
        pkgs:
        rec {
          nixbox = pkgs.callPackage ./helper/package.nix { };
          default = nixbox;
        }
        // lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
          # what serves a remote; npm has it for no other system
          tursodb = pkgs.callPackage ./helper/tursodb.nix { };
        }
      );

      overlays.default = final: _prev: { nixbox = final.callPackage ./helper/package.nix { }; };

      devenvModules.default = withPackage ./modules/devenv.nix;
      processComposeModules.default = withPackage ./modules/process-compose.nix;
      nixosModules.default = withPackage ./modules/nixos.nix;
      homeModules.default = withPackage ./modules/home-manager.nix;
      flakeModules.default = ./modules/flake-parts.nix;
      flakeModule = self.flakeModules.default;
      # for services-flake's multiService, which names a service after its file
      servicesFlakeModules.agentfs = ./modules/services-flake/agentfs.nix;

      lib = import ./modules/lib { inherit lib; };

      templates =
        lib.mapAttrs
          (name: description: {
            path = ./templates + "/${name}";
            inherit description;
          })
          {
            devenv = "AgentFS in a devenv project: devenv.yaml, devenv.nix, .envrc";
            flake = "AgentFS in a flake with a devenv shell";
            process-compose = "AgentFS under process-compose-flake";
            plain = "AgentFS without Nix: nixbox.toml and .envrc";
          }
        // {
          default = self.templates.devenv;
        };

      checks = eachSystem (pkgs: import ./dev/checks.nix { inherit pkgs self; });
      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
