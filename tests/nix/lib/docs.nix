# Options -> a flat list of what the reference needs, as nixpkgs' lib lists it.
{ lib }:
let
  text =
    value:
    if value ? _type && (value._type == "literalExpression" || value._type == "literalMD") then
      value
    else
      lib.literalExpression (pretty "" value);

  # Nix values as a person writes them
  key =
    name: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" name != null then name else builtins.toJSON name;
  pretty =
    indent: value:
    let
      deeper = "${indent}  ";
    in
    if value == null then
      "null"
    else if builtins.isAttrs value then
      (
        if value == { } then
          "{ }"
        else
          "{\n${
            lib.concatStrings (lib.mapAttrsToList (n: v: "${deeper}${key n} = ${pretty deeper v};\n") value)
          }${indent}}"
      )
    else if builtins.isList value then
      (
        if value == [ ] then
          "[ ]"
        else
          "[\n${lib.concatMapStrings (v: "${deeper}${pretty deeper v}\n") value}${indent}]"
      )
    else
      builtins.toJSON value;

  walk =
    tree:
    builtins.concatMap (
      name:
      let
        node = tree.${name};
      in
      if !(builtins.isAttrs node) then
        [ ]
      else if node._type or null == "option" then
        [ (entry node) ] ++ walk (node.type.getSubOptions node.loc)
      else
        walk node
    ) (builtins.attrNames tree);

  entry =
    option:
    {
      inherit (option) loc;
      name = builtins.concatStringsSep "." option.loc;
      description = option.description or null;
      internal = option.internal or false;
      visible = option.visible or true;
      readOnly = option.readOnly or false;
      type = option.type.description;
    }
    // lib.optionalAttrs (option ? example) { example = text option.example; }
    // lib.optionalAttrs (option ? defaultText || option ? default) {
      default = text (option.defaultText or option.default);
    };
in
{
  optionAttrSetToDocList = walk;
}
