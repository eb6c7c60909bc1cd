{ nixbox, check, ... }:
let
  found = value: nixbox.literalSecrets "env" value;
  caught = value: check.that (found value != [ ]) "not caught";
  passes = value: check.equal (found value) [ ];
  names = builtins.listToAttrs (
    map
      (name: {
        name = "caught by name: ${name}";
        value = caught { ${name} = "hunter2"; };
      })
      [
        "TOKEN"
        "GITHUB_TOKEN"
        "NPM_AUTH_TOKEN"
        "secret"
        "client_secret"
        "DB_PASSWORD"
        "PGPASSWORD"
        "MYSQL_PASSWD"
        "API_KEY"
        "apikey"
        "OPENAI_API_KEY"
        "PRIVATE_KEY"
        "AGENTFS_KEY"
        "AUTH"
        "BASIC_AUTH"
        "AWS_SECRET_ACCESS_KEY"
        "auth-token"
      ]
  );
in
names
// {
  "caught by value: libsql URL" = caught { URL = "libsql://db.turso.io?authToken=abc"; };
  "caught by value: password in a URL" = caught { URL = "postgres://me:pw@host/db"; };
  "caught by value: private key" = caught {
    X = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n";
  };
  "caught by value: GitHub" = caught { X = "ghp_0123456789abcdefghijABCDEFGHIJ"; };
  "caught by value: JWT" = caught { X = "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"; };
  "caught in a list" = caught { remotes = [ { token = "abc"; } ]; };
  "the path to it is named" = check.equal (found { a.b.TOKEN = "x"; }) [ "env.a.b.TOKEN" ];

  "passes: a file" = passes { TOKEN_FILE = "/run/secrets/token"; };
  "passes: a command" = passes { password_command = "pass show db"; };
  "passes: the name of a variable" = passes { auth_token_env = "TURSO_TOKEN"; };
  "passes: a path" = passes { SECRETS_PATH = "/run/secrets"; };
  "passes: a socket" = passes { SSH_AUTH_SOCK = "/run/ssh"; };
  "passes: empty" = passes { TOKEN = ""; };
  "passes: a count" = passes { MAX_TOKENS = "4096"; };
  "passes: a switch" = passes { AUTH = "off"; };
  "passes: an author" = passes { GIT_AUTHOR_NAME = "Ada Lovelace"; };
  "passes: a tokenizer" = passes {
    TOKENIZERS_PARALLELISM = "false";
    TOKENIZER = "bpe";
  };
  "passes: a keyboard" = passes { KEYBOARD = "de"; };
  "passes: a plain URL" = passes { URL = "https://example.com:8080/a?b=c"; };
  "passes: numbers and switches" = passes {
    token = 5;
    secret = false;
  };
}
