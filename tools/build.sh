#!/usr/bin/env bash
# Configures a preset once and builds targets of it: tools/build.sh PRESET [TARGET ...]. Quiet unless it
# fails or has much to do; everything goes to stderr, so that stdout stays the program's.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
targets=()
for target in "$@"; do targets+=(--target "$target"); done
if [ ! -f "build/$preset/build.ninja" ]; then
  echo "Configuring build/$preset" >&2
  log=$(mktemp)
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
fi
if [ -t 2 ]; then
  cmake --build --preset "$preset" "${targets[@]}" >&2
else
  log=$(mktemp)
  cmake --build --preset "$preset" "${targets[@]}" >"$log" 2>&1 || { grep -v '^\[' "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
fi
