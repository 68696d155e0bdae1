#!/usr/bin/env bash
# Runs every fuzz target for the given seconds each, one on each processor, starting from its seeds in
# tests/fuzz/corpus/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz() {
  local program=$1 seconds=$2 name found seeds
  name=$(basename "$program")
  found=$(mktemp -d)
  seeds=tests/fuzz/corpus/$name
  "$program" "$found" $([ -d "$seeds" ] && echo "$seeds") -max_total_time="$seconds" -rss_limit_mb=2048 \
    -timeout=10 -artifact_prefix="$found/" >"$found.log" 2>&1 ||
    { echo "$name: failed"; tail -n 40 "$found.log"; return 1; }
  echo "$name: $(grep -E '^Done' "$found.log")"
  rm -rf "$found" "$found.log"
}
export -f fuzz

printf '%s\0' build/asan/tests/fuzz/*_fuzz |
  xargs -0 -P "$(nproc)" -I{} bash -c 'fuzz "$@"' fuzz {} "${1:-20}"
