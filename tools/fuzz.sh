#!/usr/bin/env bash
# Runs every fuzz target for the given seconds each, starting from its seeds in tests/fuzz/corpus/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
for program in build/asan/tests/fuzz/*_fuzz; do
  name=$(basename "$program")
  found=$(mktemp -d)
  seeds=tests/fuzz/corpus/$name
  printf '%s: ' "$name"
  "$program" "$found" $([ -d "$seeds" ] && echo "$seeds") -max_total_time="$seconds" -rss_limit_mb=2048 \
    -timeout=10 -artifact_prefix="$found/" >"$found.log" 2>&1 || { tail -n 40 "$found.log"; exit 1; }
  grep -E '^Done' "$found.log"
  rm -rf "$found" "$found.log"
done
