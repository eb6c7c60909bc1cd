# A case is null where it holds and a line of text where it does not.
let
  shown =
    value:
    let
      tried = builtins.tryEval (builtins.toJSON value);
    in
    if !tried.success then
      "<throws>"
    else if builtins.stringLength tried.value > 600 then
      "${builtins.substring 0 600 tried.value}…"
    else
      tried.value;
in
{
  equal =
    actual: expected:
    if actual == expected then null else "got ${shown actual}, wanted ${shown expected}";
  that = condition: why: if condition then null else why;
  throws =
    value:
    let
      tried = builtins.tryEval (builtins.deepSeq value value);
    in
    if tried.success then "evaluates to ${shown tried.value}, should be refused" else null;

  # what the hosts take for one
  package =
    name: outPath:
    let
      self = {
        type = "derivation";
        inherit name outPath;
        pname = name;
        outputs = [ "out" ];
        out = self;
        meta = { };
      };
    in
    self;
}
