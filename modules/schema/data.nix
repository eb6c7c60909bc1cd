# Types for free-form keys: what TOML can hold.
{ lib }:
let
  inherit (lib) types;
  value =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        (types.attrsOf value)
        (types.listOf value)
      ]
    )
    // {
      description = "TOML value";
      descriptionClass = "noun";
    };
in
{
  inherit value;
  table = types.attrsOf value;
}
