#!/usr/bin/env bash
# Trains every architecture with every seed, a run on each processor, and prints the table. May be stopped and started
# again: finished runs are skipped, others continue from their last checkpoint. Arguments go to make_recipes.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
export SAMBAY=${SAMBAY:-build/release/src/cli/sambay}
export runs=runs/real-text

[ -f "$runs/data/valid.json" ] || recipes/real-text/prepare.sh
recipes/real-text/make_recipes.py "$@"
mkdir -p "$runs/logs"

train() {
  [ -d "$runs/$1/model" ] && return
  echo "$1: $(date -u +%FT%TZ)"
  SAMBAY_THREADS=1 "$SAMBAY" train "$runs/recipes/$1.json" --out "$runs/$1" --resume >> "$runs/logs/$1.log" 2>&1
}
export -f train
# Seed by seed, so that an unfinished comparison has every architecture.
(cd "$runs/recipes" && ls) | sed 's/\.json$//' | sort -t- -k2,2n -k1,1 |
  xargs -P "$(nproc)" -I{} bash -c 'train {}'
recipes/real-text/table.py "$runs"
