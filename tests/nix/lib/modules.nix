# The module system in small: declarations and definitions from many modules,
# merged by priority and by type. Left out: freeform types, warnings, classes.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isFunction
    isPath
    isString
    length
    mapAttrs
    removeAttrs
    ;

  isType = type: value: isAttrs value && value._type or null == type;
  dotted = builtins.concatStringsSep ".";

  mkOption = attrs: attrs // { _type = "option"; };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  defaultPriority = 100;

  # --- modules: paths, functions and sets of them -> [ { options; config; } ]
  known = [
    "_class"
    "_file"
    "imports"
    "key"
    "options"
    "config"
  ];
  load =
    args: extra: m:
    let
      fromFile = isPath m || isString m;
      file = if fromFile then toString m else "<inline>";
      loaded = if fromFile then import m else m;
      formals = functionArgs loaded;
      # Names that are no base argument come from _module.args, lazily.
      late = mapAttrs (name: _: extra name) (removeAttrs formals (attrNames args));
      value =
        if isFunction loaded then
          loaded (if formals == { } then args else intersectAttrs formals args // late)
        else
          loaded;
      explicit = value ? options || value ? config;
      stray = attrNames (removeAttrs value known);
    in
    if explicit && stray != [ ] then
      throw "${file}: ${head stray} stands beside `config' or `options'; move it into `config'"
    else
      {
        imports = value.imports or [ ];
        options = value.options or { };
        config = value.config or (if explicit then { } else removeAttrs value known);
      };
  # Level by level, and the last one first: the order in which lists append.
  collect =
    args: extra: modules:
    let
      level = map (load args extra) modules;
      next = concatMap (m: m.imports) level;
    in
    (if next == [ ] then [ ] else collect args extra next) ++ reverse level;
  reverse = list: builtins.genList (i: builtins.elemAt list (length list - 1 - i)) (length list);

  # --- options: declarations -> one tree
  mergeDeclarations =
    path: trees:
    foldl' (
      all: tree:
      all
      // mapAttrs (
        name: value:
        if !(all ? ${name}) then
          value
        else if isType "option" value || isType "option" all.${name} then
          throw "The option `${dotted (path ++ [ name ])}' is already declared"
        else
          mergeDeclarations (path ++ [ name ]) [
            all.${name}
            value
          ]
      ) tree
    ) { } trees;

  # --- definitions
  discharge =
    value:
    if isType "merge" value then
      concatMap discharge value.contents
    else if isType "if" value then
      (if value.condition then discharge value.content else [ ])
    else
      [ value ];

  # mkIf, mkMerge and mkOverride around a set apply to each of its members.
  pushDown =
    value:
    if isType "merge" value then
      concatMap pushDown value.contents
    else if isType "if" value then
      map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
    else if isType "override" value then
      map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
    else
      [ value ];

  # definitions of one option -> the ones that count
  prevailing =
    values:
    let
      all = map (
        value:
        if isType "override" value then
          {
            inherit (value) priority;
            value = value.content;
          }
        else
          {
            priority = defaultPriority;
            inherit value;
          }
      ) (concatMap discharge values);
      best = foldl' (least: def: if def.priority < least then def.priority else least) 9999 all;
    in
    # an override may hold an mkIf in turn
    concatMap (def: discharge def.value) (filter (def: def.priority == best) all);

  mergeDefinitions =
    path: type: values:
    let
      defs = prevailing values;
      wrong = filter (value: !type.check value) defs;
    in
    {
      isDefined = defs != [ ];
      value =
        if wrong != [ ] then
          throw "A definition for option `${dotted path}' is not of type `${type.description}'"
        else
          type.merge path defs;
    };

  evalOption =
    path: option: values:
    let
      type = option.type or lib.types.unspecified;
      merged = mergeDefinitions path type (
        values ++ (if option ? default then [ (mkOverride 1500 option.default) ] else [ ])
      );
      value =
        if option.readOnly or false && length (concatMap discharge values) > 1 then
          throw "The option `${dotted path}' is read-only, but it's set multiple times"
        else if merged.isDefined || type ? emptyValue then
          (if merged.isDefined then merged.value else type.emptyValue)
        else
          throw "The option `${dotted path}' was accessed but has no value defined";
    in
    option
    // {
      inherit type;
      loc = path;
      isDefined = merged.isDefined;
      value = (option.apply or (x: x)) value;
    };

  # option tree + definitions -> { config; options; }
  evalTree =
    path: tree: values:
    let
      sets = concatMap pushDown values;
      unknown = filter (name: !(tree ? ${name})) (concatMap attrNames sets);
      branch =
        name: node:
        let
          at = path ++ [ name ];
          mine = map (set: set.${name}) (filter (set: set ? ${name}) sets);
          option = evalOption at node mine;
        in
        if isType "option" node then
          {
            options = option;
            config = option.value;
          }
        else
          evalTree at node mine;
      branches = mapAttrs branch tree;
    in
    {
      # never through the definitions: modules ask `options` what to define
      options = mapAttrs (_: b: b.options) branches;
      config =
        if unknown != [ ] then
          throw "The option `${dotted (path ++ [ (head unknown) ])}' does not exist"
        else
          mapAttrs (_: b: b.config) branches;
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      ...
    }:
    let
      args = {
        inherit lib;
        inherit (result) config options;
      }
      // specialArgs;
      extra = name: result.config._module.args.${name} or (throw "no module argument `${name}'");
      all = collect args extra modules;
      internal._module.args = mkOption {
        type = lib.types.attrsOf lib.types.unspecified;
        default = { };
        internal = true;
      };
      tree = mergeDeclarations prefix ([ internal ] ++ map (m: m.options) all);
      result = evalTree prefix tree (map (m: m.config) all);
    in
    {
      inherit (result) options;
      config = removeAttrs result.config [ "_module" ];
      _module.args = result.config._module.args;
    };
in
{
  inherit
    evalModules
    mergeDefinitions
    mkIf
    mkMerge
    mkOption
    mkOverride
    ;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkOptionDefault = mkOverride 1500;
}
