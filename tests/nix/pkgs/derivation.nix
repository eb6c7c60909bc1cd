# Derivations without nixpkgs. Inert: an attribute set under /stub/store that
# reads like one. Real: host tools build it (tests/nix/devenv-up).
{
  lib,
  system,
  real,
}:
let
  short = text: builtins.substring 0 32 (builtins.hashString "sha256" text);
  # what a store path's name may hold
  safe =
    text:
    lib.concatMapStrings (part: if builtins.isList part then "-" else part) (
      builtins.split "[^A-Za-z0-9+._?=-]+" text
    );

  common = name: {
    inherit name system;
    pname = name;
    version = "0";
    meta = { };
  };

  inert =
    { name, content }:
    let
      outPath = "/stub/store/${short (name + content)}-${safe name}";
      self = common name // {
        type = "derivation";
        inherit outPath;
        drvPath = "${outPath}.drv";
        outputName = "out";
        outputs = [ "out" ];
        out = self;
        all = [ self ];
        override = _: self;
        overrideAttrs = _: self;
        drvAttrs = { };
      };
    in
    self;

  built =
    {
      name,
      script,
      text,
    }:
    let
      drv = derivation {
        name = safe name;
        inherit system text;
        passAsFile = [ "text" ];
        builder = "/bin/bash";
        # End in a builtin: bash would exec the last command, and Nix takes its
        # closing of stdout for the end of the build and kills it.
        args = [
          "-euc"
          "${script}\n:"
        ];
        PATH = "/usr/local/bin:/usr/bin:/bin";
        preferLocalBuild = true;
      };
    in
    drv
    // common name
    // {
      override = _: drv;
      overrideAttrs = _: drv;
    };
in
# `script` fills $out; `text` is in the file $textPath, and can be read back
{
  name,
  script ? "",
  text ? "",
  attrs ? { },
}:
(
  if real then
    built { inherit name script text; }
  else
    inert {
      inherit name;
      content = script + text;
    }
)
// {
  inherit text;
}
// attrs
