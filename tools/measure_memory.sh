#!/usr/bin/env bash
# What generation and training take of the machine's memory, beside what `sambay inspect` says they
# will: lines of a table for docs/results/memory.md.
# Usage: tools/measure_memory.sh [SAMBAY]
set -euo pipefail
sambay=${1:-build/release/src/cli/sambay}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tokens=4096 chunk=512 row=1024
presets=(sambay transformer)
widths=(384 640)  # some 50 and 100 million parameters

# The value of a key in JSON on stdin; the last one where there are several.
field() {
  sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}\$/\1/p" | tail -n 1
}

line() {  # what, predicted bytes, measured bytes
  awk -v what="$1" -v predicted="$2" -v real="$3" 'BEGIN {
    printf "| %s | %.1f | %.1f | %.3f |\n", what, predicted / 2^20, real / 2^20, real / predicted
  }'
}

shape_of() {  # width -> options
  echo "--depth 8 --width $1 --heads $(($1 / 64)) --kv-heads 2 --head-dim 64 --mlp-width $((4 * $1))"
}

recipe() {  # preset, width, recompute_layers
  cat << JSON
{
  "model": {"preset": "$1", "depth": 8, "width": $2, "heads": $(($2 / 64)), "kv_heads": 2,
    "head_dim": 64, "mlp_width": $((4 * $2)), "vocab_size": 32000, "window": 128,
    "training_length": $row, "parametrization": "mup++", "base_depth": 8, "base_head_dim": 64},
  "tokenizer": "",
  "data": {"sources": [{"shard": "$work/data/train.safetensors", "weight": 1.0}],
    "row_length": $row, "rows": 1, "whole_documents": false, "validation": "", "validation_rows": 0},
  "batch_tokens": $((2 * row)), "steps": 2,
  "optimizer": {"learning_rate": 0.001, "base_depth": 8, "base_batch_tokens": 0,
    "weight_decay": 0.1, "independent_decay": false, "betas": [0.9, 0.95], "epsilon": 1e-8,
    "clip": 1.0},
  "schedule": {"unit": "steps", "decay": "linear", "warmup": 1, "floor": 0.0},
  "label_smoothing": 0.0, "precision": "bf16", "recompute_layers": $3,
  "seed": 1, "checkpoint_every": 0, "validate_every": 0, "keep": 1
}
JSON
}

echo "| what | predicted MiB | measured MiB | measured / predicted |"
echo "|---|---|---|---|"

for preset in "${presets[@]}"; do
  for width in "${widths[@]}"; do
    model="$work/$preset-$width"
    # shellcheck disable=SC2046
    "$sambay" init --preset "$preset" $(shape_of "$width") --vocab-size 32000 --dtype bf16 \
      --out "$model" > "$work/log"
    predicted=$("$sambay" inspect --model "$model" --lengths $tokens --chunk $chunk --json |
      field process_bytes)
    real=$("$sambay" bench prefill --model "$model" --tokens $tokens --chunk $chunk --seconds 0 \
      --json | field resident_bytes)
    line "generation, $preset, width $width, $tokens tokens" "$predicted" "$real"
    rm -r "$model"
  done
done

"$sambay" data reasoning --train 2000 --valid 50 --seed 1 --out "$work/data" > "$work/log"
for preset in "${presets[@]}"; do
  for width in "${widths[@]}"; do
    for recompute in false true; do
      recipe "$preset" "$width" "$recompute" > "$work/recipe.json"
      predicted=$("$sambay" inspect --train "$work/recipe.json" --json | field process_bytes)
      /usr/bin/time -f %M -o "$work/peak" "$sambay" train "$work/recipe.json" --out "$work/run" \
        --json > "$work/log"
      real=$(($(cat "$work/peak") * 1024))
      line "training, $preset, width $width, recompute $recompute" "$predicted" "$real"
      rm -r "$work/run"
    done
  done
done
