# Plain Nix data -> TOML text, at evaluation time: no converter runs in a build,
# so `nix eval` shows the very document the helper will read.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    fromJSON
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    match
    replaceStrings
    toJSON
    ;

  # JSON's string escapes are TOML's, but for DEL: TOML forbids it raw and JSON
  # leaves it so. Nix cannot write DEL in a literal, JSON can.
  del = fromJSON ''"\u007f"'';
  string = text: replaceStrings [ del ] [ "\\u007F" ] (toJSON text);

  key = name: if match "[A-Za-z0-9_-]+" name != null then name else string name;

  # With as many digits as this Nix prints (six in old ones). `1e3` is a TOML
  # float, `1` would be an integer.
  float =
    number:
    let
      text = toJSON number;
    in
    if match ".*[.eE].*" text != null then text else "${text}.0";

  present = lib.filterAttrs (_: value: value != null);
  isTable = value: isAttrs value;

  value =
    at: v:
    if isString v then
      string v
    else if isBool v then
      (if v then "true" else "false")
    else if isInt v then
      toString v
    else if isFloat v then
      float v
    else if isList v then
      "[${concatStringsSep ", " (map (value at) (builtins.filter (x: x != null) v))}]"
    else if isAttrs v then
      inline at v
    else
      throw "nixbox: ${concatStringsSep "." at} is a ${builtins.typeOf v}, which TOML cannot hold";

  inline =
    at: table:
    let
      pairs = lib.mapAttrsToList (name: v: "${key name} = ${value (at ++ [ name ]) v}") (present table);
    in
    if pairs == [ ] then "{}" else "{ ${concatStringsSep ", " pairs} }";

  # One block a table, header first; sub-tables follow their parent.
  blocks =
    at: table:
    let
      own = lib.filterAttrs (_: v: !isTable v) (present table);
      sub = lib.filterAttrs (_: isTable) (present table);
      lines = lib.mapAttrsToList (name: v: "${key name} = ${value (at ++ [ name ]) v}\n") own;
      header = "[${concatStringsSep "." (map key at)}]\n";
      # A table with only sub-tables is implied by their headers.
      shown = at != [ ] && (own != { } || sub == { });
    in
    lib.optional (shown || lines != [ ]) (
      (if at == [ ] then "" else header) + concatStringsSep "" lines
    )
    ++ builtins.concatMap (name: blocks (at ++ [ name ]) sub.${name}) (attrNames sub);
in
document: concatStringsSep "\n" (blocks [ ] document)
