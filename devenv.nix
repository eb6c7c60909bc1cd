# What `imports: [ nixbox ]` in a devenv.yaml reads. This repository's own
# environment is in dev/devenv.nix.
{
  imports = [ ./modules/devenv.nix ];
}
