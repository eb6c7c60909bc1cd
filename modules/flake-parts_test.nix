{
  lib,
  check,
  flake-parts, # top-level modules -> perSystem module -> one system's outputs
  ...
}:
let
  package = check.package "nixbox" "/package";
  agentfs = more: {
    services.agentfs = {
      enable = true;
      inherit package;
    }
    // more;
  };
  one = flake-parts [ ] (agentfs {
    instances.a = { };
  });
  # what devenv's flake module declares; how many modules it got is to be seen
  # in the name of a package
  with-devenv =
    { flake-parts-lib, ... }:
    {
      options.perSystem = flake-parts-lib.mkPerSystemOption (
        { config, ... }:
        {
          options.devenv.modules = lib.mkOption {
            type = lib.types.listOf lib.types.unspecified;
            default = [ ];
          };
          config.packages."gained-${toString (builtins.length config.devenv.modules)}" = package;
        }
      );
    };
in
{
  "a command, a shell and a check" =
    check.equal
      (lib.mapAttrs (_: lib.attrNames) {
        inherit (one) packages devShells checks;
      })
      {
        packages = [ "agentfs" ];
        devShells = [ "agentfs" ];
        checks = [ "agentfs-config" ];
      };
  "the command has its configuration inside" =
    check.that (lib.hasInfix "/nixbox-helper --config /" one.packages.agentfs.text) one.packages.agentfs.text;
  "the shell takes complete output or none" =
    check.that (lib.hasInfix "if agentfs_env=$(/package/bin/nixbox-helper env); then eval" one.devShells.agentfs.arguments.shellHook) one.devShells.agentfs.arguments.shellHook;
  "disabled: nothing is there" = check.equal (lib.attrNames
    (flake-parts [ ] { services.agentfs.instances.a = { }; }).packages
  ) [ ];
  "what is wrong is refused" = check.throws (
    (flake-parts [ ] (agentfs {
      instances.Bad = { };
    })).packages.agentfs.text
  );
  "beside devenv's flake module, its shells gain the options" =
    check.equal
      (lib.attrNames
        (flake-parts [ with-devenv ] (agentfs {
          instances.a = { };
        })).packages
      )
      [
        "agentfs"
        "gained-1"
      ];
}
