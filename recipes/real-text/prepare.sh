#!/usr/bin/env bash
# Makes runs/real-text/data: text, tokenizer and token shards. Needs a built sambay, Python 3 and Debian's package archive.
set -euo pipefail
cd "$(dirname "$0")/../.."
sambay=${SAMBAY:-build/release/src/cli/sambay}
out=runs/real-text/data
mkdir -p "$out"

pages=usr/share/doc/anarchism/html
if [ ! -d "$out/package/$pages" ]; then
  (cd "$out" && apt-get download anarchism && dpkg-deb -x anarchism_*.deb package && rm anarchism_*.deb)
fi
recipes/real-text/extract.py "$out/package/$pages" "$out"
"$sambay" data tokenizer --vocab 4096 --out "$out/tokenizer.json" "$out/train.jsonl"
for part in train valid; do
  "$sambay" data pack --json --tokenizer "$out/tokenizer.json" --out "$out/$part.safetensors" "$out/$part.jsonl" |
    tee "$out/$part.json"
done
