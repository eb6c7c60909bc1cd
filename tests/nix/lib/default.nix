# A `lib` of our own: just what the modules use, under nixpkgs' names and with
# nixpkgs' meaning, so that a machine with Nix and no network still tests them.
# Where nixpkgs' lib is at hand, compare.nix holds the two side by side.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    genList
    isAttrs
    isFunction
    length
    listToAttrs
    replaceStrings
    stringLength
    substring
    tail
    ;

  letters = {
    lower = chars "abcdefghijklmnopqrstuvwxyz";
    upper = chars "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  };
  chars = s: genList (i: substring i 1 s) (stringLength s);

  self = {
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatMap
      concatStringsSep
      elem
      filter
      foldl'
      isString
      length
      listToAttrs
      mapAttrs
      replaceStrings
      ;
    inherit (import ./modules.nix { lib = self; })
      evalModules
      mkDefault
      mkForce
      mkIf
      mkMerge
      mkOption
      mkOptionDefault
      mkOverride
      ;
    inherit (import ./docs.nix { lib = self; }) optionAttrSetToDocList;
    types = import ./types.nix { lib = self; };

    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    literalMD = text: {
      _type = "literalMD";
      inherit text;
    };

    # lists
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    unique = list: self.foldl' (seen: x: if self.elem x seen then seen else seen ++ [ x ]) [ ] list;
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );

    # attribute sets
    optionalAttrs = condition: attrs: if condition then attrs else { };
    nameValuePair = name: value: { inherit name value; };
    filterAttrs =
      keep: attrs: removeAttrs attrs (filter (name: !keep name attrs.${name}) (attrNames attrs));
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
    mapAttrs' = f: attrs: listToAttrs (self.mapAttrsToList f attrs);
    concatMapAttrs = f: attrs: self.foldl' (all: one: all // one) { } (self.mapAttrsToList f attrs);
    attrByPath =
      path: default: attrs:
      if path == [ ] then
        attrs
      else if isAttrs attrs && attrs ? ${elemAt path 0} then
        self.attrByPath (tail path) default attrs.${elemAt path 0}
      else
        default;
    setAttrByPath =
      path: value:
      if path == [ ] then value else { ${elemAt path 0} = self.setAttrByPath (tail path) value; };
    recursiveUpdate =
      old: new:
      if isAttrs old && isAttrs new then
        old
        // builtins.mapAttrs (
          name: value: if old ? ${name} then self.recursiveUpdate old.${name} value else value
        ) new
      else
        new;

    # strings
    optionalString = condition: text: if condition then text else "";
    concatMapStringsSep =
      separator: f: list:
      concatStringsSep separator (map f list);
    concatStrings = concatStringsSep "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        start = stringLength text - stringLength suffix;
      in
      start >= 0 && substring start (stringLength suffix) text == suffix;
    hasInfix = infix: text: length (builtins.split (self.escapeRegex infix) text) > 1;
    escapeRegex =
      let
        special = chars "\\[{()^$?*+|.";
      in
      replaceStrings special (map (c: "\\${c}") special);
    removePrefix =
      prefix: text:
      if self.hasPrefix prefix text then
        substring (stringLength prefix) (stringLength text) text
      else
        text;
    removeSuffix =
      suffix: text:
      if self.hasSuffix suffix text then
        substring 0 (stringLength text - stringLength suffix) text
      else
        text;
    toUpper = replaceStrings letters.lower letters.upper;
    splitString =
      separator: text: filter builtins.isString (builtins.split (self.escapeRegex separator) text);

    # packages
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname or package.name}";
    getExe' = package: name: "${package}/bin/${name}";

    # files
    importTOML = path: fromTOML (builtins.readFile path);

    # packages' words
    licenses = {
      mit.spdxId = "MIT";
      asl20.spdxId = "Apache-2.0";
    };
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    fileset = {
      unions = files: files;
      toSource = { root, ... }: root;
    };

    # functions
    toFunction = f: if isFunction f then f else _: f;
    flip =
      f: a: b:
      f b a;
    concatMapStrings = f: list: concatStringsSep "" (map f list);
  };
in
self
