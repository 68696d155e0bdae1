#!/usr/bin/env bash
# Trains every architecture with every seed, one after the other, and prints the table. May be stopped and started again:
# finished runs are skipped, others continue from their last checkpoint. Arguments go to make_recipes.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
sambay=${SAMBAY:-build/release/src/cli/sambay}
runs=runs/real-text

[ -f "$runs/data/valid.json" ] || recipes/real-text/prepare.sh
recipes/real-text/make_recipes.py "$@"
mkdir -p "$runs/logs"
# Seed by seed, so that an unfinished comparison has every architecture.
for name in $(cd "$runs/recipes" && ls | sed 's/\.json$//' | sort -t- -k2,2n -k1,1); do
  if [ -d "$runs/$name/model" ]; then
    continue
  fi
  echo "$name: $(date -u +%FT%TZ)"
  "$sambay" train "$runs/recipes/$name.json" --out "$runs/$name" --resume >> "$runs/logs/$name.log" 2>&1
done
recipes/real-text/table.py "$runs"
