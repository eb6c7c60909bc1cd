# nixbox-helper and nixbox-owner, built from the lock file.
{
  lib,
  rustPlatform,
  stdenv,
  installShellFiles,
  fuse3 ? null, # fusermount3, for the tests that mount
}:
let
  manifest = lib.importTOML ./Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "nixbox";
  inherit (manifest.workspace.package) version;

  # The helper embeds the templates: the root is the repository's, holding
  # nothing but these two.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ./Cargo.toml
      ./Cargo.lock
      ./crates
      ../templates
    ];
  };
  cargoRoot = "helper";
  buildAndTestSubdir = "helper";
  cargoLock.lockFile = ./Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];
  nativeCheckInputs = lib.optional (fuse3 != null) fuse3;

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash fish zsh; do
      $out/bin/nixbox-helper completions $shell > nixbox-helper.$shell
      installShellCompletion --cmd nixbox-helper --$shell nixbox-helper.$shell
    done
    $out/bin/nixbox-helper man man
    installManPage man/*
  '';

  meta = {
    description = "Declarative, reviewable AgentFS instances";
    homepage = "https://github.com/nixbox-dev/nixbox";
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "nixbox-helper";
    platforms = lib.platforms.linux;
  };
}
