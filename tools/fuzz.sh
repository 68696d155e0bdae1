#!/usr/bin/env bash
# Runs fuzz targets, one on each processor, starting from their seeds in tests/fuzz/corpus:
#   tools/fuzz.sh [SECONDS | --runs N] [NAME ...]
# for 20 or so many seconds each, or N executions. NAME is a target's without _fuzz; all if none is given.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=-max_total_time=20
case ${1-} in
  --runs) limit=-runs=$2; shift 2 ;;
  [0-9]*) limit=-max_total_time=$1; shift ;;
esac
[ $# -gt 0 ] || set -- $(basename -a -s _fuzz build/asan/tests/fuzz/*_fuzz)

fuzz() {
  local name=$1_fuzz found
  found=$(mktemp -d)
  "build/asan/tests/fuzz/$name" "$found" "tests/fuzz/corpus/$name" "$2" -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="$found/" >"$found.log" 2>&1 ||
    { echo "$name: failed"; tail -n 40 "$found.log"; return 1; }
  echo "$name: $(grep -E '^Done' "$found.log"), $(grep -oE 'DONE .* corp: [0-9]+' "$found.log")"
  rm -rf "$found" "$found.log"
}
export -f fuzz

printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I{} bash -c 'fuzz "$@"' fuzz {} "$limit"
