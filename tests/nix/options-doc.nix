# The option reference as Markdown, sorted by name.
let
  lib = import ./lib;
  pkgs = import ./pkgs { inherit lib; };
  documented =
    options:
    builtins.sort (a: b: a.name < b.name) (
      builtins.filter (o: !o.internal && !(lib.hasInfix "_module" o.name)) (
        lib.optionAttrSetToDocList options
      )
    );

  shared = documented (import ./schema.nix { inherit lib; } [ ]).options;
  # what a host adds, without what it shares
  nixos =
    documented
      (lib.evalModules {
        modules = [
          {
            inherit
              (import ../../modules/nixos.nix {
                inherit lib pkgs;
                config = { };
                options = { };
              })
              options
              ;
          }
        ];
      }).options;

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
  sections = lib.concatMapStringsSep "\n" section;
in
''
  # Options

  The same on every host: devenv, process-compose-flake, flake-parts, NixOS and home-manager. Made from
  `modules/` by `tests/nix/options-doc`; a test keeps it current.

''
+ sections shared
+ ''

  # Options on NixOS only

''
+ sections nixos
