#!/usr/bin/env bash
# clang-tidy over our sources, two at a time. Kernels compiled per instruction set are left to the compiler's
# own warnings: clang-tidy would read each of them four times.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files 'src/*.cc' | grep -v '^src/ops/cpu/isa/' |
  xargs -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-error 2>/dev/null
