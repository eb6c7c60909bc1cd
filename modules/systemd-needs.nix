# What an instance waits for, as lists of systemd's: it stays while its remote is
# away, and needs the rest.
{ lib }:
one:
let
  needs = one.needs or { };
  waitsFor = one.waitsFor or [ ];
  units = map (name: "${name}.service");
in
{
  wants = units waitsFor;
  requires = units (lib.attrNames (removeAttrs needs waitsFor));
  after = units (lib.attrNames needs);
}
