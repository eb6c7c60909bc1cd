# The option reference as Markdown, sorted by name.
let
  lib = import ./lib;
  inherit (import ./schema.nix { inherit lib; } [ ]) options;
  listed = builtins.filter (o: !o.internal && !(lib.hasInfix "_module" o.name)) (
    lib.optionAttrSetToDocList options
  );
  sorted = builtins.sort (a: b: a.name < b.name) listed;
  code =
    value:
    if value._type == "literalMD" then
      value.text
    else if lib.hasInfix "\n" value.text then
      "\n\n```nix\n${value.text}\n```"
    else
      "`${value.text}`";
  section = o: ''
    ## ${lib.replaceStrings [ "<" ">" ] [ "\\<" "\\>" ] o.name}

    ${lib.removeSuffix "\n" o.description}

    - type: ${o.type}${lib.optionalString o.readOnly " (read only)"}
    - default: ${code o.default}
    - example: ${code o.example}
  '';
in
''
  # Options

  The same on every host: devenv, process-compose-flake, flake-parts, NixOS and home-manager. Made from
  `modules/schema/` by `tests/nix/options-doc`; a test keeps it current.

''
+ builtins.concatStringsSep "\n" (map section sorted)
