# Every *_test.nix with what it needs -> { suite = { case = null | "why"; }; }
{
  libPath ? null, # nixpkgs' lib; null: ours
  sources ? "[]", # JSON: [ { kind; label; path; names; } ]
  only ? null,
}:
let
  lib = import (
    if libPath == null then
      ./lib
    else if builtins.isString libPath then
      /. + libPath
    else
      libPath
  );
  nixbox = import ../../modules/lib { inherit lib; };
  check = import ./check.nix;
  schema = import ./schema.nix { inherit lib; };
  common = {
    inherit
      check
      lib
      nixbox
      schema
      ;
  };
  modules = ../../modules;

  pure = {
    to-toml = import (modules + "/lib/to-toml_test.nix") common;
    render = import (modules + "/render_test.nix") common;
    schema = import (modules + "/schema/schema_test.nix") common;
    assertions = import (modules + "/schema/assertions_test.nix") common;
    on-calendar = import (modules + "/lib/on-calendar_test.nix") common;
    paths = import (modules + "/lib/paths_test.nix") common;
    secrets = import (modules + "/schema/secrets_test.nix") common;
    systemd = import (modules + "/systemd_test.nix") common;
    flake = import ./flake_test.nix common;
  };

  devenv = host: import (modules + "/devenv_test.nix") (common // { devenv = host; });
  small-devenv = args: devenv (import ./hosts/small-devenv.nix ({ inherit lib; } // args));
  small = {
    "devenv 2.x in small" = small-devenv { typed = true; };
    "devenv 2.x in small, flake mode" = small-devenv {
      typed = true;
      flakeMode = true;
    };
    "devenv 1.x in small" = small-devenv { typed = false; };
    "templates in small" = import ./templates_test.nix (
      common
      // {
        mkFlake = import ./hosts/small-mk-flake.nix { inherit lib; };
        process-compose-flake.flakeModule = { };
        devenv = import ./hosts/small-devenv.nix {
          inherit lib;
          typed = true;
        };
      }
    );
    "nixos in small" = import (modules + "/nixos_test.nix") common;
    "home-manager in small" = import (modules + "/home-manager_test.nix") common;
    "process-compose in small" = import (modules + "/process-compose_test.nix") (
      common // { process-compose = import ./hosts/small-process-compose.nix { inherit lib; }; }
    );
    "services-flake in small" = import (modules + "/services-flake/agentfs_test.nix") (
      common // { services-flake = import ./hosts/small-services-flake.nix { inherit lib; }; }
    );
    "flake-parts in small" = import (modules + "/flake-parts_test.nix") (
      common // { flake-parts = import ./hosts/small-flake-parts.nix { inherit lib; }; }
    );
  };

  real-devenv =
    s:
    let
      source = /. + s.path;
      variant =
        args:
        devenv (
          import ./hosts/devenv.nix (
            {
              inherit lib source;
              inherit (s) names;
            }
            // args
          )
        );
      # before 2.0 there was no manager of devenv's own
      native = builtins.pathExists (source + "/src/modules/process-managers/native.nix");
      cli = if native then "2.3.0" else "1.9.0";
    in
    {
      "devenv ${s.label}, flake mode" = variant { };
      "devenv ${s.label}, CLI, process-compose" = variant {
        inherit cli;
        manager = "process-compose";
      };
    }
    // lib.optionalAttrs native {
      "devenv ${s.label}, CLI, native" = variant { inherit cli; };
    };

  real = {
    devenv = real-devenv;
    process-compose-flake = s: {
      "process-compose-flake" = import (modules + "/process-compose_test.nix") (
        common
        // {
          process-compose = import ./hosts/process-compose.nix {
            inherit lib;
            inherit (s) names path;
          };
        }
      );
    };
    services-flake = s: {
      "services-flake" = import (modules + "/services-flake/agentfs_test.nix") (
        common
        // {
          services-flake = import ./hosts/process-compose.nix {
            inherit lib;
            inherit (s) names path services;
          };
        }
      );
    };
    flake-parts =
      s:
      let
        flake-parts = import ./hosts/flake-parts.nix { inherit lib; } s.path;
      in
      {
        "flake-parts" = import (modules + "/flake-parts_test.nix") (
          common // { flake-parts = flake-parts.perSystem; }
        );
      }
      // lib.optionalAttrs (s ? pcf && s ? devenv) {
        "templates" = import ./templates_test.nix (
          common
          // {
            inherit (flake-parts) mkFlake;
            process-compose-flake.flakeModule = /. + s.pcf + "/nix/flake-module.nix";
            devenv = import ./hosts/devenv.nix {
              inherit lib;
              inherit (s) names;
              source = /. + s.devenv;
            };
          }
        );
      };
  };

  all =
    pure
    // small
    // lib.concatMapAttrs (_: s: real.${s.kind} s) (
      builtins.listToAttrs (
        map (s: {
          name = "${s.kind} ${s.label or ""}";
          value = s;
        }) (builtins.fromJSON sources)
      )
    );
in
{
  names = builtins.attrNames all;
  results = if only == null then all else { ${only} = all.${only}; };
}
