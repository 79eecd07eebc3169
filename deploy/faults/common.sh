# What the scripts of this folder share; sourced, never run.
set -eu

fail() { echo "$*" >&2; exit 3; }
need() { for tool in "$@"; do command -v "$tool" > /dev/null || fail "$tool is not installed on this node"; done; }
# A parameter that must be there.
given() { eval "value=\${$1:-}"; [ -n "$value" ] || fail "$1 is missing"; }
keep() { printf '%s' "$2" > "$FAULT_STATE/$1"; }
kept() { cat "$FAULT_STATE/$1" 2> /dev/null || true; }
# verify: whether the two are equal.
is() { echo "$3=$([ "$1" = "$2" ] && echo 1 || echo 0)"; [ "$1" = "$2" ]; }
