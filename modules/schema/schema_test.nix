# Every option says what it is: the reference is made of nothing else.
{
  lib,
  schema,
  check,
  ...
}:
let
  listed = builtins.filter (o: !o.internal && !(lib.hasInfix "_module" o.name)) (
    lib.optionAttrSetToDocList (schema [ ]).options
  );
  lacking =
    field:
    map (o: o.name) (builtins.filter (o: (o.${field} or null) == null || o.${field} == "") listed);
in
{
  "there are options" = check.that (
    builtins.length listed > 20
  ) "only ${toString (builtins.length listed)}";
  "every option has a description" = check.equal (lacking "description") [ ];
  "every option has a type" = check.equal (lacking "type") [ ];
  "every option has a default" = check.equal (lacking "default") [ ];
  "every option has an example" = check.equal (lacking "example") [ ];
  "descriptions are sentences" = check.equal (map (o: o.name) (
    builtins.filter (
      o: builtins.match "[A-Z].*[.][[:space:]]*" (lib.removeSuffix "\n" o.description) == null
    ) listed
  )) [ ];
  "every type is written out" = check.equal (map (o: o.name) (
    builtins.filter (o: lib.hasInfix "unspecified" o.type) listed
  )) [ ];
}
