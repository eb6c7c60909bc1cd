# flake.nix by its outputs, with a nixpkgs that is a stand-in.
{ lib, check, ... }:
let
  pkgs = import ./pkgs {
    inherit lib;
    names = [
      "nixfmt-tree"
      "fuse3"
    ];
  };
  root = ../..;
  flake = import (root + "/flake.nix");
  self = flake.outputs {
    inherit self;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs systems (_: pkgs);
    };
  };
  systems = [
    "aarch64-linux"
    "x86_64-linux"
  ];
  package = self.packages.x86_64-linux.default;
  lock = builtins.fromJSON (builtins.readFile (root + "/flake.lock"));
  manifest = fromTOML (builtins.readFile (root + "/helper/Cargo.toml"));
  module = self.devenvModules.default;
in
{
  "outputs" = check.equal (lib.attrNames self) [
    "checks"
    "devenvModules"
    "flakeModule"
    "flakeModules"
    "formatter"
    "homeModules"
    "lib"
    "nixosModules"
    "overlays"
    "packages"
    "processComposeModules"
    "servicesFlakeModules"
    "templates"
  ];
  "one input, locked as declared" =
    let
      node = lock.nodes.nixpkgs;
    in
    check.equal
      {
        inputs = lib.attrNames flake.inputs;
        locked = lib.attrNames lock.nodes.root.inputs;
        url = "github:${node.original.owner}/${node.original.repo}/${node.original.ref}";
        rev = builtins.stringLength node.locked.rev;
        hash = lib.hasPrefix "sha256-" node.locked.narHash;
      }
      {
        inputs = [ "nixpkgs" ];
        locked = [ "nixpkgs" ];
        inherit (flake.inputs.nixpkgs) url;
        rev = 40;
        hash = true;
      };
  "the development flake is locked to the same nixpkgs" =
    let
      dev = builtins.fromJSON (builtins.readFile (root + "/dev/flake.lock"));
    in
    check.equal
      [
        dev.nodes.nixpkgs
        (lib.attrNames dev.nodes.root.inputs)
      ]
      [
        lock.nodes.nixpkgs
        (lib.attrNames (import (root + "/dev/flake.nix")).inputs)
      ];
  "packages for each system" = check.equal (lib.attrNames self.packages) systems;
  "the version is Cargo.toml's" = check.equal package.version manifest.workspace.package.version;
  "the package's program is the helper" = check.equal package.meta.mainProgram "nixbox-helper";
  "it is built from the lock file" =
    check.that (builtins.pathExists package.asked.cargoLock.lockFile) "no Cargo.lock";
  "the overlay adds the package" =
    check.equal (self.overlays.default pkgs pkgs).nixbox.version package.version;
  "each template is there, with a page" = check.equal (lib.filter (
    name: !(builtins.pathExists (self.templates.${name}.path + "/README.md"))
  ) (lib.attrNames self.templates)) [ ];
  "each template is described" = check.equal (lib.filter (
    name: self.templates.${name}.description == ""
  ) (lib.attrNames self.templates)) [ ];
  "checks and formatter for each system" =
    check.equal
      [
        (lib.attrNames self.checks)
        (lib.attrNames self.formatter)
      ]
      [
        systems
        systems
      ];
  "lib renders" = check.equal (self.lib.toTOML { a = 1; }) "a = 1\n";
  "lib makes a document" =
    check.equal
      (fromTOML
        (self.lib.mkConfig {
          inherit pkgs;
          instances.a = { };
        }).text
      ).default_instance
      "a";
  "lib refuses a wrong one" = check.throws (
    (self.lib.mkConfig {
      inherit pkgs;
      instances.A = { };
    }).text
  );
  "a module brings this flake's package" =
    let
      evaluated = import ./hosts/small-devenv.nix {
        inherit lib;
        typed = true;
      } [ module ];
    in
    check.equal evaluated.config.services.agentfs.package.version package.version;
  "a package of the user's own comes first" =
    let
      evaluated =
        import ./hosts/small-devenv.nix
          {
            inherit lib;
            typed = true;
          }
          [
            module
            { services.agentfs.package = check.package "mine" "/mine"; }
          ];
    in
    check.equal evaluated.config.services.agentfs.package.name "mine";
  "each host has its module" =
    check.equal
      (lib.mapAttrs
        (
          _: output:
          map baseNameOf
            (output.default {
              inherit lib pkgs;
            }).imports
        )
        {
          inherit (self)
            devenvModules
            homeModules
            nixosModules
            processComposeModules
            ;
        }
      )
      {
        devenvModules = [ "devenv.nix" ];
        homeModules = [ "home-manager.nix" ];
        nixosModules = [ "nixos.nix" ];
        processComposeModules = [ "process-compose.nix" ];
      };
  "the other modules are there" =
    check.equal
      [
        (baseNameOf self.flakeModules.default)
        (baseNameOf self.servicesFlakeModules.agentfs)
      ]
      [
        "flake-parts.nix"
        # services-flake names a service after its file
        "agentfs.nix"
      ];
  "checks" = check.equal (lib.attrNames self.checks.x86_64-linux) [
    "documents"
    "modules"
    "nix-dead"
    "nix-format"
    "package"
  ];
  "devenv.nix imports the module" = check.that (
    (import ./hosts/small-devenv.nix {
      inherit lib;
      typed = true;
    } [ (root + "/devenv.nix") ]).config.services.agentfs.enable == false
  ) "enabled by itself";
  "this repository's own environment evaluates" =
    let
      own =
        import ./hosts/small-devenv.nix
          {
            inherit lib;
            typed = true;
            names = [
              "cargo"
              "clippy"
              "deadnix"
              "fuse3"
              "just"
              "nixfmt"
              "rustc"
              "rustfmt"
              "shellcheck"
            ];
          }
          [
            (root + "/devenv.nix")
            (root + "/dev/devenv.nix")
          ];
    in
    check.equal
      [
        (lib.attrNames own.config.processes)
        # what .envrc falls back to where there is no devenv
        (lib.attrNames (fromTOML (builtins.readFile (root + "/dev/nixbox.toml"))).instances)
      ]
      [
        [ "agentfs-sandbox" ]
        [ "sandbox" ]
      ];
}
