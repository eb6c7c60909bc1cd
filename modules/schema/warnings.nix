# What is allowed and should not come as a surprise: sentences, as devenv, NixOS
# and home-manager show them; lib.check prints them for other hosts.
{ lib }:
cfg:
let
  nixbox = import ../lib { inherit lib; };
  instances = nixbox.enabled (nixbox.render cfg);
  direct = builtins.filter (name: instances.${name}.mode or "overlay" == "direct") (
    builtins.attrNames instances
  );
in
map (
  name:
  "services.agentfs.instances.${name}.mode is \"direct\": what is written in ${name} is written to its base at once, and there is nothing to review"
) direct
