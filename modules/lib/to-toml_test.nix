{ lib, check, ... }:
let
  toTOML = import ./to-toml.nix { inherit lib; };
  del = builtins.fromJSON ''"\u007f"'';

  # What Nix's own TOML parser can read back; DEL and floats are compared as text.
  document = {
    version = 1;
    yes = true;
    no = false;
    negative = -5;
    big = 9223372036854775807;
    text = "plain";
    quotes = ''"double" and 'single' and \ backslash'';
    lines = "one\ntwo\r\n\ttabbed";
    unicode = "zwölf 日本 🦀";
    empty = "";
    list = [
      1
      2
      3
    ];
    nested = [
      [ "a" ]
      [ ]
    ];
    inline = [
      {
        name = "x";
        deep.er = [ { y = 1; } ];
      }
      { }
    ];
    "key with space" = 1;
    "dotted.key" = 2;
    "quoted\"key" = 3;
    "ключ" = 4;
    "" = 5;
    table = {
      value = 1;
      sub = {
        "odd name" = "x";
        empty = { };
      };
    };
    onlySub.a.b.c = "deep";
  };
in
{
  "reads back as it was" = check.equal (fromTOML (toTOML document)) document;
  "nulls are left out" = check.equal (toTOML {
    a = null;
    b = {
      c = null;
    };
    d = [
      1
      null
      2
    ];
  }) "d = [1, 2]\n\n[b]\n";
  "an empty document is empty" = check.equal (toTOML { }) "";
  "control characters read back" =
    let
      text = builtins.fromJSON ''"\u0001\u001f\b\f"'';
    in
    check.equal
      (fromTOML (toTOML {
        a = text;
      })).a
      text;
  "control characters are escaped" = check.that (
    builtins.match "a = \"[ -~]+\"\n" (toTOML {
      a = builtins.fromJSON ''"\u0001\u001f"'';
    }) != null
  ) "raw control characters";
  "DEL is escaped, in keys too" = check.equal (toTOML {
    a = "x${del}y";
    "${del}" = 1;
  }) "a = \"x\\u007Fy\"\n\"\\u007F\" = 1\n";
  "floats stay floats" = check.equal (toTOML {
    a = 1.5;
    b = 2.0;
    c = 0.1;
    d = -0.25;
  }) "a = 1.5\nb = 2.0\nc = 0.1\nd = -0.25\n";
  "values come before tables" = check.equal (toTOML {
    a.b = 1;
    z = 2;
  }) "z = 2\n\n[a]\nb = 1\n";
  "what TOML cannot hold is refused" = check.throws (toTOML {
    a = x: x;
  });
}
