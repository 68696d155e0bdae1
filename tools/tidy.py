#!/usr/bin/env python3
"""clang-tidy over our sources, with Clang's own flags from build/asan; exits 1 if it finds anything.

A source whose text after preprocessing was read clean before is not read again: its hash stands in
$XDG_CACHE_HOME/sambay-tidy. Kernels compiled per instruction set are left to the compilers' warnings, because clang-tidy
would read each of them four times.

    tools/tidy.py [FOLDER_OR_FILE ...]      only sources below these; src by default
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/asan"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "sambay-tidy"


def commands(wanted):
    """{source: compiler's arguments} of the tracked sources below `wanted`."""
    tracked = subprocess.run(["git", "ls-files", "-z", *wanted], cwd=ROOT, check=True, capture_output=True, text=True)
    sources = {str(ROOT / name) for name in tracked.stdout.split("\0") if name.endswith(".cc")}
    sources = {name for name in sources if "/cpu/isa/" not in name}
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {e["file"]: (shlex.split(e["command"]), e["directory"]) for e in entries if e["file"] in sources}


def preprocessed(arguments, folder):
    arguments = arguments[1:] if arguments[0].endswith("ccache") else arguments
    at = arguments.index("-o")
    answer = subprocess.run([*arguments[:at], *arguments[at + 2 :], "-E"], cwd=folder, check=True, capture_output=True)
    # Where the tree lies does not matter.
    return answer.stdout.replace(str(ROOT).encode(), b"")


def read(source, arguments, folder, settings):
    """What clang-tidy says of a source; empty if it is clean."""
    key = CACHE / hashlib.sha256(settings + preprocessed(arguments, folder)).hexdigest()
    if key.exists():
        return ""
    answer = subprocess.run(["clang-tidy", "-p", BUILD, "--quiet", source], cwd=ROOT, capture_output=True, text=True)
    if answer.returncode == 0 and not answer.stdout.strip():
        key.touch()
        return ""
    return answer.stdout or answer.stderr or f"{source}: clang-tidy failed\n"


def main():
    # What is generated must exist.
    subprocess.run([ROOT / "tools/build.sh", "asan", "src/train/tensorboard.pb.h"], check=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    settings = version + (ROOT / ".clang-tidy").read_bytes()
    found = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        work = [pool.submit(read, source, *command, settings) for source, command in commands(sys.argv[1:] or ["src"]).items()]
        for done in concurrent.futures.as_completed(work):
            found += bool(done.result())
            sys.stdout.write(done.result())
            sys.stdout.flush()
    print(f"clang-tidy: {len(work)} sources, {found} with findings")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
