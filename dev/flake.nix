{
  description = "What is only needed to work on nixbox: nix develop ./dev, nix fmt ./dev";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    treefmt-nix.url = "github:numtide/treefmt-nix";
    treefmt-nix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      treefmt-nix,
    }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      treefmt =
        pkgs:
        (treefmt-nix.lib.evalModule pkgs {
          projectRootFile = "flake.lock";
          programs = {
            deadnix.enable = true;
            nixfmt.enable = true;
            rustfmt.enable = true;
            shellcheck.enable = true;
          };
        }).config.build;
    in
    {
      # for those without devenv; with it, `devenv shell` at the top has nixbox, too
      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell { packages = import ./tools.nix pkgs ++ [ (treefmt pkgs).wrapper ]; };
      });
      formatter = eachSystem (pkgs: (treefmt pkgs).wrapper);
      checks = eachSystem (pkgs: {
        formatting = (treefmt pkgs).check self;
      });
    };
}
