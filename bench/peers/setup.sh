#!/usr/bin/env bash
# Makes .venv beside this file: the Python packages that the comparisons with other programs need. "setup.sh tokenizers": only
# those of tokenizer.py.
# PyTorch's wheel is linked with CUDA. Only its CPU kernels are measured, so instead of gigabytes of CUDA packages it gets
# empty libraries of the same names, whose every function answers "no device".
set -euo pipefail
cd "$(dirname "$0")"

torch_version=2.15.0
tokenizers_version=0.23.3

[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet --no-deps "tokenizers==$tokenizers_version"
if [ "${1:-all}" = tokenizers ]; then
  exit
fi
.venv/bin/pip install --quiet --no-deps "torch==$torch_version"
.venv/bin/pip install --quiet filelock fsspec jinja2 networkx numpy setuptools sympy typing-extensions

cd "$(.venv/bin/python -c 'import importlib.util; print(importlib.util.find_spec("torch").submodule_search_locations[0])')/lib"
# "function version" or "function" of all that is missing.
nm -D --undefined-only ./*.so | awk '$1 == "U" {sub(/@/, " ", $2); print $2}' |
  grep -E '^(__cuda|cu|nccl|nvrtc|nvshmem)[A-Za-z0-9_]*( |$)' | sort -u > no_cuda.txt
{
  echo '.text'
  awk '{printf ".globl %s\n%s:\n", $1, $1}' no_cuda.txt
  echo 'mov $100, %eax'  # cudaErrorNoDevice
  echo 'ret'
  echo '.section .note.GNU-stack,"",@progbits'
} > no_cuda.s
awk 'NF == 2 {names[$2] = names[$2] $1 ";"} END {for (v in names) print v, "{", names[v], "};"}' no_cuda.txt > no_cuda.map
readelf -d ./*.so | sed -n 's/.*NEEDED.*\[\(lib\(cu\|nccl\|nv\).*\)\]/\1/p' | sort -u |
  while read -r library; do
    cc -shared -nostdlib -Wl,-soname,"$library" -Wl,--version-script=no_cuda.map -o "$library" no_cuda.s
  done
rm no_cuda.txt no_cuda.s no_cuda.map
cd - > /dev/null
.venv/bin/python -c 'import torch; print("torch", torch.__version__, "on the CPU,", torch.backends.cpu.get_cpu_capability())'
