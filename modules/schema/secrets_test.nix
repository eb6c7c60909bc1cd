{ nixbox, check, ... }:
let
  found = value: nixbox.literalSecrets "env" value;
  caught = value: check.that (found value != [ ]) "not caught";
  passes = value: check.equal (found value) [ ];
  # The helper is held against the same list.
  cases = builtins.fromJSON (builtins.readFile ../../helper/crates/config/src/secret_cases.json);
  each =
    kind: test:
    builtins.listToAttrs (
      map (case: {
        name = "${kind}: ${builtins.head case} = ${builtins.toJSON (builtins.elemAt case 1)}";
        value = test { ${builtins.head case} = builtins.elemAt case 1; };
      }) cases.${kind}
    );
in
each "secret" caught
// each "harmless" passes
// {
  "caught in a list" = caught { remotes = [ { token = "abc"; } ]; };
  "the path to it is named" = check.equal (found { a.b.TOKEN = "x"; }) [ "env.a.b.TOKEN" ];

  "passes: numbers and switches" = passes {
    token = 5;
    secret = false;
  };
}
