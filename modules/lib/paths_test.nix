{ nixbox, check, ... }:
let
  becomes = path: check.equal (nixbox.absolute "/work" path);
in
{
  "relative" = becomes "a/b" "/work/a/b";
  "dots" = becomes "./a/../b/." "/work/b";
  "absolute" = becomes "/etc//y/" "/etc/y";
  "above the top" = becomes "../../../x" "/x";
  "the root" = becomes "." "/work";
}
