#!/usr/bin/env bash
# clang-tidy over our sources with Clang's own flags. Kernels compiled per instruction set are left to the
# compilers' warnings: clang-tidy would read each of them four times.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh asan  # what is generated must exist
git ls-files 'src/*.cc' | grep -v '^src/ops/cpu/isa/' |
  xargs -P "$(nproc)" -n 1 clang-tidy -p build/asan --quiet 2>/dev/null
