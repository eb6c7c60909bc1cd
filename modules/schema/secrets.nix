# Finds what looks like a literal secret. Everything in an option ends in the
# world-readable store, so it is refused at evaluation, before it is written.
# A guard rail, not a scanner: it errs towards what people really paste.
{ lib }:
let
  inherit (builtins)
    any
    concatMap
    isAttrs
    isList
    isString
    match
    ;

  words = "(.*_)?(.*TOKENS?|.*SECRETS?|.*PASSWORD|.*PASSWD|.*PASSPHRASE|.*CREDENTIALS?|AUTH|.*API_?KEY|.*(PRIVATE|ACCESS|ENCRYPTION|AGENTFS|SIGNING)_?KEY)(_.*)?";
  # The names of places where a secret is, rather than secrets.
  reference = ".*_(FILE|COMMAND|ENV|PATH|DIR|SOCK|SOCKET)";
  # MAX_TOKENS = "4096", AUTH = "off"
  harmless = "[0-9]{0,6}|true|false|yes|no|on|off|none|null";

  secretName =
    name:
    let
      folded = lib.toUpper (builtins.replaceStrings [ "-" "." ] [ "_" "_" ] name);
    in
    match words folded != null && match reference folded == null;

  secretValue =
    text:
    any (pattern: match pattern text != null) [
      ".*[?&](authToken|auth_token|access_token|token|password|secret|api_key|apikey|jwt)=[^&]+.*"
      ".*://[^/@[:space:]]*:[^/@[:space:]]+@.*"
      ".*-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
      "(.*[^A-Za-z0-9])?(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16})([^A-Za-z0-9].*)?"
      "(.*[^A-Za-z0-9_-])?eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+.*"
    ];

  find =
    at: name: value:
    if isString value then
      lib.optional (secretValue value || (secretName name && match harmless value == null)) at
    else if isAttrs value then
      concatMap (n: find "${at}.${n}" n value.${n}) (builtins.attrNames value)
    else if isList value then
      concatMap (find at name) value
    else
      [ ];
in
# option path -> value -> [ the paths of what looks like a secret ]
at: find at ""
