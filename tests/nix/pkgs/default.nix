# A stand-in for nixpkgs on a machine that has none: enough of `pkgs` to
# evaluate our modules, devenv's and process-compose-flake's.
#
#   lib       nixpkgs' lib, or ../lib
#   real      derivations that the host's tools build, instead of inert ones
#   names     further packages that are mentioned: placeholders
#   programs  { name = "/path/to/program"; } of this machine, as packages
{
  lib,
  system ? "x86_64-linux",
  real ? false,
  names ? [ ],
  programs ? { },
}:
let
  mk = import ./derivation.nix { inherit lib system real; };
  writers = import ./writers.nix { inherit lib mk; };

  placeholder =
    name:
    mk {
      inherit name;
      script = "mkdir -p $out/bin";
      attrs.meta.mainProgram = name;
    };

  # a package whose program is one of this machine's
  host =
    name: program:
    mk {
      inherit name;
      script = ''
        mkdir -p $out/bin
        if p=$(command -v ${program}); then ln -s "$p" $out/bin/${name}; fi
      '';
      attrs.meta.mainProgram = name;
    };
  tools = lib.genAttrs [
    "bash"
    "bashInteractive"
    "coreutils"
    "git"
    "jq"
    "curl"
    "socat"
  ] (name: host (if name == "bashInteractive" then "bash" else name) "bash");

  platform =
    if lib ? systems then
      lib.systems.elaborate system
    else
      {
        inherit system;
        isLinux = true;
        isDarwin = false;
        canExecute = _: true;
      };

  plain = lib.types.anything // {
    description = "plain data";
  };
  format = _arguments: {
    type = plain;
    # JSON is YAML, and nothing here reads the other formats back
    generate = name: value: writers.writeText name (builtins.toJSON value);
  };

  mkShell =
    arguments:
    mk {
      name = arguments.name or "shell";
      attrs = { inherit arguments; };
    };

  pkgs =
    lib.genAttrs names placeholder
    // tools
    // writers
    // {
      inherit lib system;
      config = { };
      appendOverlays = builtins.foldl' (p: overlay: p // overlay p p) pkgs;
      callPackage =
        file: overrides:
        let
          f = if builtins.isFunction file then file else import file;
          needed = lib.filterAttrs (_: optional: !optional) (builtins.functionArgs f);
        in
        f (
          builtins.mapAttrs (name: _: placeholder name) needed
          // builtins.intersectAttrs (builtins.functionArgs f) pkgs
          // overrides
        );

      stdenv = mk { name = "stdenv"; } // {
        inherit system;
        inherit (platform) isLinux isDarwin;
        hostPlatform = platform;
        buildPlatform = platform;
        targetPlatform = platform;
        cc = placeholder "cc";
        mkDerivation =
          attrs:
          if builtins.isFunction attrs then
            let
              final = attrs final;
            in
            pkgs.stdenv.mkDerivation final
          else
            mk { name = attrs.name or "${attrs.pname}-${attrs.version}"; };
      };
      hostPlatform = platform;

      buildEnv = writers.symlinkJoin;
      linkFarm =
        name: entries:
        mk {
          inherit name;
          attrs = { inherit entries; };
        };
      mkShell = {
        __functor = _: mkShell;
        override = _: mkShell;
      };
      mkShellNoCC = pkgs.mkShell;
      makeSetupHook = _: _: placeholder "hook";
      nixosOptionsDoc = _: { optionsJSON = writers.writeText "options.json" "[]"; };
      formats = lib.genAttrs [ "json" "yaml" "toml" "ini" "keyValue" ] (_: format);

      # records what it was asked to build
      rustPlatform.buildRustPackage =
        attrs:
        mk {
          name = attrs.pname;
          attrs = {
            asked = attrs;
            inherit (attrs) meta version;
          };
        };
      installShellFiles = placeholder "installShellFiles";
      glibcLocalesUtf8 = null;
      libressl = placeholder "libressl" // {
        nc = placeholder "nc";
      };
    }
    // builtins.mapAttrs host programs;
in
pkgs
