# nixpkgs' trivial builders, as far as module systems call them.
{ lib, mk }:
let
  file =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      ...
    }:
    mk {
      inherit name text;
      script = ''
        f=$out${destination}
        mkdir -p "$(dirname "$f")"
        cp "$textPath" "$f"
        ${lib.optionalString executable ''chmod +x "$f"''}
      '';
      attrs = lib.optionalAttrs (lib.hasPrefix "/bin/" destination) {
        meta.mainProgram = baseNameOf destination;
      };
    };
  bash = "#!/bin/bash\n";
  script =
    name: text:
    file {
      inherit name text;
      executable = true;
    };
  program =
    name: text:
    file {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
    };
in
{
  writeTextFile = file;
  writeText = name: text: file { inherit name text; };
  writeTextDir =
    path: text:
    file {
      name = baseNameOf path;
      destination = "/${path}";
      inherit text;
    };
  writeScript = script;
  writeScriptBin = program;
  writeShellScript = name: text: script name (bash + text);
  writeShellScriptBin = name: text: program name (bash + text);
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      ...
    }:
    program name (
      bash
      + "set -euo pipefail\n"
      + lib.concatMapStrings (p: "PATH=${p}/bin:$PATH\n") runtimeInputs
      + text
    );

  runCommand =
    name: _env: script:
    mk { inherit name script; };
  runCommandLocal =
    name: _env: script:
    mk { inherit name script; };

  symlinkJoin =
    {
      name,
      paths ? [ ],
      ...
    }:
    mk {
      inherit name;
      script = ''
        mkdir -p $out
        for p in ${toString paths}; do if [ -d "$p" ]; then cp -rsn "$p"/. $out/; fi; done
      '';
      attrs = { inherit paths; };
    };
}
