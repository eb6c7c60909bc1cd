# `nix flake check`: what tests/run does by itself, with the nixpkgs this flake locks.
{ pkgs, self }:
let
  inherit (pkgs) lib;
  package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
  inherit (import ../tests/nix/samples.nix) documents;

  suites = (import ../tests/nix/suites.nix { libPath = pkgs.path + "/lib"; }).results;
  failures = lib.concatLists (
    lib.mapAttrsToList (
      suite: cases:
      lib.mapAttrsToList (name: why: "${suite}: ${name}: ${why}") (
        lib.filterAttrs (_: why: why != null) cases
      )
    ) suites
  );
  lint =
    name: tools: command:
    pkgs.runCommand name { nativeBuildInputs = tools; } ''
      cd ${self}
      ${command}
      touch $out
    '';
in
{
  inherit package;

  modules =
    if failures == [ ] then
      pkgs.writeText "modules-evaluate" ""
    else
      throw (lib.concatStringsSep "\n" failures);

  # the built helper reads what the modules write
  documents = pkgs.runCommand "documents" { } ''
    ${lib.concatStrings (
      lib.mapAttrsToList (name: text: ''
        ${package}/bin/nixbox-helper config check --config ${pkgs.writeText "${name}.toml" text}
      '') documents
    )}
    touch $out
  '';

  nix-format = lint "nix-format" [ pkgs.nixfmt ] "find . -name '*.nix' -exec nixfmt -c {} +";
  nix-dead = lint "nix-dead" [ pkgs.deadnix ] "deadnix --fail .";
}
