#!/usr/bin/env python3
"""Checks the layout that docs/design.md promises: which room may include which, and how long files are."""
import pathlib
import re
import subprocess
import sys

# What each room may include beside itself; docs/design.md, "Rooms".
ROOMS = {
    "base": [],
    "hub": ["base"],
    "tensor": ["base"],
    "ops": ["base", "tensor"],
    "autograd": ["base", "tensor", "ops"],
    "nn": ["base", "tensor", "ops", "autograd"],
    "formats": ["base", "tensor"],
    "text": ["base", "tensor", "formats"],
    "model": ["base", "tensor", "ops", "autograd", "nn", "formats"],
    "data": ["base", "tensor", "ops", "formats", "text"],
    "train": ["base", "tensor", "ops", "autograd", "nn", "formats", "model", "text", "data"],
    "engine": ["base", "tensor", "ops", "autograd", "nn", "formats", "model", "text"],
    "eval": ["base", "tensor", "ops", "autograd", "nn", "formats", "model", "text", "data", "engine"],
    "perf": ["base", "tensor", "ops", "autograd", "nn", "formats", "model", "text", "data", "train"],
    "cli": None,  # everything
}
KERNELS = re.compile(r"^src/ops/(cpu|cuda)/")
LIMIT, KERNEL_LIMIT = 600, 800
ISA_MAY_INCLUDE = re.compile(r'^(ops/cpu/|tensor/dtype\.h$)|^<(c[a-z]+|immintrin\.h)>?$')


def allowlist(root):
    """Lines `path  reason`: files over the limit, each with its reason."""
    file = root / "tools/size_allowlist.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return {line.split(None, 1)[0] for line in lines if line and not line.startswith("#")}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    files = subprocess.run(["git", "ls-files", "*.h", "*.cc", "*.cu", "*.cuh", "*.py", "*.sh"], cwd=root,
                           check=True, capture_output=True, text=True).stdout.split()
    allowed_sizes = allowlist(root)
    faults = []
    for name in files:
        text = (root / name).read_text()
        lines = text.count("\n")
        limit = KERNEL_LIMIT if KERNELS.match(name) else LIMIT
        if lines > limit and name not in allowed_sizes:
            faults.append(f"{name}: {lines} lines, the limit is {limit}")
        if not name.startswith("src/"):
            continue
        room = name.split("/")[1]
        for include in re.findall(r'^#include "([^"]+)"', text, re.M):
            target = include.split("/")[0]
            if ROOMS[room] is not None and target in ROOMS and target != room and target not in ROOMS[room]:
                faults.append(f"{name}: includes {include}; {room} may include only {', '.join(ROOMS[room])}")
        if name.startswith("src/ops/cpu/isa/"):
            for kind, include in re.findall(r'^#include (["<])([^">]+)[">]', text, re.M):
                key = f"<{include}>" if kind == "<" else include
                if not ISA_MAY_INCLUDE.match(key):
                    faults.append(f"{name}: includes {key}; a file compiled per instruction set may not")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
