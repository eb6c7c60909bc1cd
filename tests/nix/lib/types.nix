# The types the modules use. `description` and its class decide what the option
# reference says, so they follow nixpkgs to the letter.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    elem
    filter
    isAttrs
    isList
    length
    mapAttrs
    ;
  inherit (import ./modules.nix { inherit lib; }) evalModules mergeDefinitions;
  dotted = builtins.concatStringsSep ".";

  one =
    path: defs:
    if all (def: def == builtins.head defs) defs then
      builtins.head defs
    else
      throw "The option `${dotted path}' has conflicting definition values";

  type =
    attrs:
    {
      check = _: true;
      merge = one;
      getSubOptions = _: { };
      descriptionClass = "noun";
    }
    // attrs;
  scalar = description: check: type { inherit description check; };

  # "list of (null or string)": what does not read as one word gets brackets
  phrase =
    allowed: t:
    if elem (t.descriptionClass or null) allowed then t.description else "(${t.description})";
  ofElement = phrase [
    "noun"
    "composite"
  ];

  int = builtins.isInt;
  within =
    low: high: x:
    int x && x >= low && x <= high;
in
rec {
  unspecified = scalar "unspecified value" (_: true);
  raw = scalar "raw value" (_: true);
  anything = scalar "anything" (_: true) // {
    merge =
      path: defs:
      if all isAttrs defs then builtins.foldl' lib.recursiveUpdate { } defs else one path defs;
  };
  bool = scalar "boolean" builtins.isBool;
  int = scalar "signed integer" builtins.isInt;
  float = scalar "floating point number" builtins.isFloat;
  str = scalar "string" builtins.isString;
  path = scalar "absolute path" (
    x: builtins.isPath x || (builtins.isString x && lib.hasPrefix "/" x) || x ? outPath
  );
  package = scalar "package" (x: isAttrs x && x.type or null == "derivation");
  port = scalar "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (within 0 65535);
  ints.unsigned = scalar "unsigned integer, meaning >=0" (within 0 9223372036854775807) // {
    descriptionClass = "nonRestrictiveClause";
  };
  ints.positive = scalar "positive integer, meaning >0" (within 1 9223372036854775807) // {
    descriptionClass = "nonRestrictiveClause";
  };
  ints.between =
    low: high:
    scalar "integer between ${toString low} and ${toString high} (both inclusive)" (within low high);
  strMatching =
    pattern:
    scalar "string matching the pattern ${pattern}" (
      x: builtins.isString x && builtins.match pattern x != null
    );
  lines = type {
    description = "strings concatenated with \"\\n\"";
    check = builtins.isString;
    merge = _: builtins.concatStringsSep "\n";
  };
  enum =
    values:
    type {
      description = "one of ${builtins.concatStringsSep ", " (map builtins.toJSON values)}";
      descriptionClass = "conjunction";
      check = x: elem x values;
    };

  nullOr =
    t:
    type {
      description = "null or ${
        phrase [
          "noun"
          "conjunction"
        ] t
      }";
      descriptionClass = "conjunction";
      check = x: x == null || t.check x;
      merge = path: defs: if all (x: x == null) defs then null else t.merge path defs;
      inherit (t) getSubOptions;
    };

  either =
    a: b:
    type {
      description = "${
        phrase [
          "noun"
          "conjunction"
        ] a
      } or ${phrase [ "noun" "conjunction" "composite" ] b}";
      descriptionClass = "conjunction";
      check = x: a.check x || b.check x;
      merge = path: defs: if all a.check defs then a.merge path defs else b.merge path defs;
    };
  oneOf = types: builtins.foldl' either (builtins.head types) (builtins.tail types);

  listOf =
    t:
    type {
      description = "list of ${ofElement t}";
      descriptionClass = "composite";
      check = isList;
      emptyValue = [ ];
      merge =
        path: defs:
        map (x: x.value) (
          filter (x: x.isDefined) (map (x: mergeDefinitions path t [ x ]) (builtins.concatLists defs))
        );
      getSubOptions = path: t.getSubOptions (path ++ [ "*" ]);
    };

  attrsOf =
    t:
    type {
      description = "attribute set of ${ofElement t}";
      descriptionClass = "composite";
      check = isAttrs;
      emptyValue = { };
      merge =
        path: defs:
        let
          names = attrNames (builtins.foldl' (all: def: all // def) { } defs);
          values = lib.genAttrs names (
            name:
            mergeDefinitions (path ++ [ name ]) t (concatMap (d: lib.optional (d ? ${name}) d.${name}) defs)
          );
        in
        mapAttrs (_: x: x.value) (lib.filterAttrs (_: x: x.isDefined) values);
      getSubOptions = path: t.getSubOptions (path ++ [ "<name>" ]);
    };
  lazyAttrsOf = attrsOf;

  submoduleWith =
    {
      modules,
      specialArgs ? { },
      shorthandOnlyDefinesConfig ? false,
    }:
    let
      evaluate =
        path: defs:
        evalModules {
          prefix = path;
          specialArgs = {
            name = if path == [ ] then "‹name›" else builtins.elemAt path (length path - 1);
          }
          // specialArgs;
          modules =
            modules
            ++ map (def: if isAttrs def && shorthandOnlyDefinesConfig then { config = def; } else def) defs;
        };
    in
    type {
      description = "submodule";
      descriptionClass = null;
      check = x: isAttrs x || builtins.isFunction x || builtins.isPath x;
      emptyValue = { };
      merge = path: defs: (evaluate path defs).config;
      getSubOptions = path: (evaluate path [ ]).options;
    };
  submodule =
    module:
    submoduleWith {
      modules = [ module ];
      shorthandOnlyDefinesConfig = true;
    };
}
