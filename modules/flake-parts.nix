# perSystem.services.agentfs for flake-parts: a shell, a command and a check.
# Where devenv's flake module is there too, every devenv shell gains the options.
{ flake-parts-lib, ... }:
{
  options.perSystem = flake-parts-lib.mkPerSystemOption (
    {
      config,
      lib,
      options,
      pkgs,
      ...
    }:
    let
      nixbox = import ./lib { inherit lib; };
      cfg = config.services.agentfs;
      configFile = nixbox.check {
        failed = builtins.filter (a: !a.assertion) (nixbox.assertions { inherit cfg; });
        warnings = nixbox.warnings cfg;
        value = cfg.configFile;
      };
      helper = import ./wrapper.nix { inherit pkgs; } {
        name = "agentfs";
        inherit (cfg) package;
        inherit configFile;
      };
    in
    {
      imports = [ ./schema ];

      config = lib.mkMerge [
        (lib.optionalAttrs (options ? devenv) { devenv.modules = [ ./devenv.nix ]; })
        (lib.mkIf cfg.enable {
          # nix run .#agentfs -- up
          packages.agentfs = helper;

          # inputsFrom = [ config.devShells.agentfs ];
          devShells.agentfs = pkgs.mkShell {
            packages = [ cfg.package ];
            shellHook = ''
              export NIXBOX_CONFIG=${configFile}
              export NIXBOX_ROOT="''${NIXBOX_ROOT:-$(git rev-parse --show-toplevel 2>/dev/null || pwd)}"
              if agentfs_env=$(${cfg.package}/bin/nixbox-helper env); then eval "$agentfs_env"; fi
              unset agentfs_env
            '';
          };

          checks.agentfs-config = pkgs.runCommand "agentfs-config" { } ''
            ${cfg.package}/bin/nixbox-helper config check --config ${configFile} && touch $out
          '';
        })
      ];
    }
  );
}
