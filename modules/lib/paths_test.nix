{ nixbox, check, ... }:
let
  becomes = path: check.equal (nixbox.absolute "/project" path);
in
{
  "relative" = becomes "a/b" "/project/a/b";
  "dots" = becomes "./a/../b/." "/project/b";
  "absolute" = becomes "/etc//y/" "/etc/y";
  "above the top" = becomes "../../../x" "/x";
  "the root" = becomes "." "/project";
}
