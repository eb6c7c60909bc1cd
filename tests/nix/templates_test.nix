# Each template evaluated as its user would, against this checkout.
{
  lib,
  check,
  mkFlake, # flake-parts' lib.mkFlake
  process-compose-flake, # has flakeModule
  devenv, # modules -> { config; … }
  ...
}:
let
  root = ../..;
  pkgs = import ./pkgs {
    inherit lib;
    names = [
      "fuse3"
      "nixfmt-tree"
      "process-compose"
    ];
  };
  nixpkgs = {
    inherit lib;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_: pkgs);
    outPath = "/nixpkgs";
  };
  nixbox = (import (root + "/flake.nix")).outputs {
    self = nixbox;
    inherit nixpkgs;
  };
  outputs =
    name: inputs:
    let
      self = (import (root + "/templates/${name}/flake.nix")).outputs (
        {
          inherit self nixbox nixpkgs;
        }
        // inputs
      );
    in
    self;
  text = file: builtins.readFile (root + "/templates/${file}");

  plain-devenv = devenv [
    (root + "/devenv.nix")
    (root + "/templates/devenv/devenv.nix")
  ];
  flake =
    (outputs "flake" {
      devenv.lib.mkShell = args: devenv args.modules;
    }).devShells.x86_64-linux.default;
  process-compose = outputs "process-compose" {
    flake-parts.lib = { inherit mkFlake; };
    inherit process-compose-flake;
  };
  shell = process-compose.devShells.x86_64-linux.default;
  mount = d: {
    processes = lib.filter (lib.hasPrefix "agentfs-") (lib.attrNames d.config.processes);
    mount = lib.removePrefix d.config.devenv.root d.config.env.AGENTFS_MOUNT;
  };
  expected = {
    processes = [ "agentfs-sandbox" ];
    mount = "/.agentfs/mnt";
  };
in
{
  "devenv: one mounted instance" = check.equal (mount plain-devenv) expected;
  "devenv: devenv.yaml imports what it declares" = check.that (
    lib.hasInfix "\n  nixbox:\n" (text "devenv/devenv.yaml")
    && lib.hasInfix "\nimports:\n  - nixbox\n" (text "devenv/devenv.yaml")
  ) (text "devenv/devenv.yaml");
  "flake: one mounted instance" = check.equal (mount flake) expected;
  "process-compose: it evaluates" = check.that (
    process-compose.packages.x86_64-linux.default.text != ""
  ) "empty";
  "process-compose: the shell has the document" =
    check.that (lib.hasInfix "export NIXBOX_CONFIG=" shell.arguments.shellHook) shell.arguments.shellHook;
  "every template fetches nixbox from one place" = check.equal (lib.filter
    (file: !(lib.hasInfix "github:nixbox-dev/nixbox" (text file)))
    [
      "devenv/devenv.yaml"
      "flake/flake.nix"
      "process-compose/flake.nix"
    ]
  ) [ ];
}
