# shellcheck shell=bash
# Which sources this machine has, as the JSON that suites.nix takes. Sourced.

source_entry() { # KIND LABEL PATH NAMES [SERVICES]
  jq -nc --arg kind "$1" --arg title "$2" --arg path "$3" --argjson names "$4" --arg services "${5-}" \
    '{$kind, label: $title, $path, $names} + (if $services == "" then {} else {$services} end)'
}

# DEVENV_SRC=PATH and DEVENV_SRCS=LABEL=PATH:LABEL=PATH…
devenv_sources() {
  local pair
  [[ -z ${DEVENV_SRC-} ]] || echo "$(devenv_version "$DEVENV_SRC") $DEVENV_SRC"
  while IFS= read -rd: pair; do
    [[ -z $pair ]] || echo "${pair%%=*} ${pair#*=}"
  done <<<"${DEVENV_SRCS-}:"
}

devenv_version() {
  sed -n 's/^ *version = "\(.*\)".*/\1/p' "$1/Cargo.toml" "$1/devenv/Cargo.toml" 2>/dev/null | head -n1 | grep . || echo 'of DEVENV_SRC'
}

sources() {
  local label path
  {
    devenv_sources | while read -r label path; do
      source_entry devenv "$label" "$path" "$(mentioned "$path/src/modules")"
    done
    if [[ -n ${PCF_SRC-} ]]; then
      source_entry process-compose-flake '' "$PCF_SRC" "$(mentioned "$PCF_SRC/nix")"
      if [[ -n ${SERVICES_FLAKE_SRC-} ]]; then
        source_entry services-flake '' "$PCF_SRC" "$(mentioned "$PCF_SRC/nix" "$SERVICES_FLAKE_SRC/nix")" "$SERVICES_FLAKE_SRC"
      fi
    fi
    [[ -z ${FLAKE_PARTS_SRC-} ]] || flake_parts_entry
  } | jq -sc .
}

# with process-compose-flake and devenv beside it, the templates are evaluated, too
flake_parts_entry() {
  local names='[]'
  [[ -z ${DEVENV_SRC-} ]] || names=$(mentioned "$DEVENV_SRC/src/modules")
  source_entry flake-parts '' "$FLAKE_PARTS_SRC" "$names" |
    jq -c --arg pcf "${PCF_SRC-}" --arg devenv "${DEVENV_SRC-}" \
      '. + ({$pcf, $devenv} | with_entries(select(.value != "")))'
}
