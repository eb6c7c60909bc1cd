{
  inputs = {
    nixpkgs.url = "github:cachix/devenv-nixpkgs/rolling";
    devenv.url = "github:cachix/devenv";
    devenv.inputs.nixpkgs.follows = "nixpkgs";
    nixbox.url = "github:nixbox-dev/nixbox";
    nixbox.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      nixpkgs,
      devenv,
      nixbox,
      ...
    }@inputs:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      devShells = nixpkgs.lib.genAttrs systems (system: {
        default = devenv.lib.mkShell {
          inherit inputs;
          pkgs = nixpkgs.legacyPackages.${system};
          modules = [
            nixbox.devenvModules.default
            {
              services.agentfs = {
                enable = true;

                # One AgentFS database, mounted at .agentfs/mnt while `devenv up` runs.
                instances.sandbox.mount.path = ".agentfs/mnt";
              };
            }
          ];
        };
      });
    };
}
