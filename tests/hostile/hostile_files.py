#!/usr/bin/env python3
"""Opens files that lie, and prints what the program says to each: one line, exit code 1, in little time and memory.

  hostile_files.py --sambay build/release/src/cli/sambay

Makes a small model in Hugging Face's layout, spoils one file at a time, and runs the command that reads it. Prints a
table in Markdown; exits with 1 if a case ends otherwise than in one line on stderr and exit code 1, takes more than 20
seconds or more than 1 GiB.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

MOST_SECONDS, MOST_KIB = 20, 1 << 20
ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_shard(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), data[8 + length:]


def write_shard(path, header, body, text=None):
    header = (text or json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)


def edit_json(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def insert(path, behind, text):
    """Without holding the file as objects: this process stays small, and what it starts begins with its memory."""
    before, after = path.read_text().split(behind, 1)
    with path.open("w") as file:
        file.write(before + behind)
        for i in range(0, len(text), 1 << 20):
            file.write(text[i:i + (1 << 20)])
        file.write(after)


class Cases:
    """Each method spoils a copy of the model; its first line of documentation is its name in the table."""

    def __init__(self, folder):
        self.folder = folder
        self.shards = sorted(folder.glob("model-*.safetensors"))
        self.shard = self.shards[0]

    def edit_header(self, change):
        header, body = read_shard(self.shard)
        change(header)
        write_shard(self.shard, header, body)

    def first(self, header):
        return next(name for name in header if name != "__metadata__")

    def truncated_shard(self):
        """a shard that ends early"""
        os.truncate(self.shard, self.shard.stat().st_size - 100)

    def truncated_header(self):
        """a shard that ends in its header"""
        os.truncate(self.shard, 40)

    def missing_shard(self):
        """an index naming a missing file"""
        self.shard.unlink()

    def index_outside(self):
        """an index naming a file outside the folder"""
        edit_json(self.folder / "model.safetensors.index.json",
                  lambda index: index["weight_map"].update({next(iter(index["weight_map"])): "../../etc/passwd"}))

    def overlapping_tensors(self):
        """tensors that overlap"""
        def change(header):
            names = [name for name in header if name != "__metadata__"]
            a, b = sorted(names, key=lambda name: header[name]["data_offsets"])[:2]
            size = header[b]["data_offsets"][1] - header[b]["data_offsets"][0]
            begin = header[a]["data_offsets"][1] - 4
            header[b]["data_offsets"] = [begin, begin + size]
        self.edit_header(change)

    def huge_offsets(self):
        """offsets of 2^63"""
        self.edit_header(lambda header: header[self.first(header)].update(data_offsets=[2**63 - 8, 2**63]))

    def huge_shape(self):
        """a shape whose product overflows"""
        self.edit_header(lambda header: header[self.first(header)].update(shape=[2**32, 2**32]))

    def huge_header(self):
        """a header of 2^62 bytes"""
        data = self.shard.read_bytes()
        self.shard.write_bytes(struct.pack("<Q", 2**62) + data[8:])

    def other_shape(self):
        """a tensor of another shape"""
        self.edit_header(lambda header: header[self.first(header)].update(
            shape=[1] + header[self.first(header)]["shape"]))

    def missing_tensor(self):
        """a tensor that is missing"""
        header, body = read_shard(self.shard)
        name = max((name for name in header if name != "__metadata__"),
                   key=lambda name: header[name]["data_offsets"])
        begin, _ = header.pop(name)["data_offsets"]
        write_shard(self.shard, header, body[:begin])
        edit_json(self.folder / "model.safetensors.index.json", lambda index: index["weight_map"].pop(name))

    def extra_tensor(self):
        """a tensor too many"""
        header, body = read_shard(self.shard)
        header["extra"] = {"dtype": "F32", "shape": [2], "data_offsets": [len(body), len(body) + 8]}
        write_shard(self.shard, header, body + bytes(8))
        edit_json(self.folder / "model.safetensors.index.json",
                  lambda index: index["weight_map"].update({"extra": self.shard.name}))

    def wrong_dtype(self):
        """a tensor of another dtype"""
        self.edit_header(lambda header: header[self.first(header)].update(dtype="I32"))

    def bomb_in_header(self):
        """a header nested 1,000,000 deep"""
        write_shard(self.shard, None, b"", '{"a":' * 1_000_000)

    def bomb_in_config(self):
        """config.json nested 1,000,000 deep"""
        (self.folder / "config.json").write_text("[" * 1_000_000)

    def wide_config(self):
        """config.json of 50 MB of fields"""
        insert(self.folder / "config.json", "{", '"x": 1, ' * 6_000_000)

    def enormous_config(self):
        """a width of 2^60"""
        edit_json(self.folder / "config.json", lambda config: config.update(hidden_size=2**60))

    def many_layers(self):
        """2^31 layers"""
        edit_json(self.folder / "config.json", lambda config: config.update(num_hidden_layers=2**31))

    def bomb_in_tokenizer(self):
        """tokenizer.json nested 1,000,000 deep"""
        (self.folder / "tokenizer.json").write_text('{"model":' * 1_000_000)

    def cyclic_merges(self):
        """merges that make each other"""
        def change(tokenizer):
            vocab = tokenizer["model"]["vocab"]
            a, b = len(vocab), len(vocab) + 1
            vocab.update({"qxq": a, "xqx": b})
            tokenizer["model"]["merges"] += ["qxq xqx", "xqx qxq"]
        edit_json(self.folder / "tokenizer.json", change)

    def unknown_merges(self):
        """merges of tokens that do not exist"""
        edit_json(self.folder / "tokenizer.json",
                  lambda tokenizer: tokenizer["model"]["merges"].append("no such"))

    def enormous_merges(self):
        """200 MB of merges"""
        insert(self.folder / "tokenizer.json", '"merges":[', '["t","h"],' * 20_000_000)

    def many_merges(self):
        """45 MB of merges"""
        insert(self.folder / "tokenizer.json", '"merges":[', '["t","h"],' * 4_500_000)

    def enormous_ids(self):
        """a token of number 2^31 - 1"""
        edit_json(self.folder / "tokenizer.json",
                  lambda tokenizer: tokenizer["model"]["vocab"].update({"zzzz": 2**31 - 1}))

    def exploding_pattern(self):
        """a pattern that backtracks without end"""
        def change(tokenizer):
            tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "(?:(?:a|a)*)*[bc]"}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}
        edit_json(self.folder / "tokenizer.json", change)

    def looping_template(self):
        """a template that loops 10^12 times"""
        (self.folder / "chat_template.jinja").write_text(
            "{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}")

    def long_range(self):
        """a template with a range of 10^18"""
        (self.folder / "chat_template.jinja").write_text("{% for i in range(10**18) %}{{ i }}{% endfor %}")

    def growing_template(self):
        """a template that doubles a text 64 times"""
        (self.folder / "chat_template.jinja").write_text(
            "{% set n = namespace(x='a') %}{% for i in range(64) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}")

    def calling_template(self):
        """a macro that calls itself"""
        (self.folder / "chat_template.jinja").write_text("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")

    def nested_template(self):
        """a template nested 100,000 deep"""
        (self.folder / "chat_template.jinja").write_text("{{ " + "(" * 100_000)

    def generation_config(self):
        """generation_config.json with a temperature of 1e999"""
        (self.folder / "generation_config.json").write_text('{"temperature": 1e999}')


def make_model(sambay, folder):
    own = folder / "own"
    subprocess.run([sambay, "init", "--preset", "phi4miniflash", "--depth", "8", "--width", "64", "--heads", "8",
                    "--kv-heads", "4", "--head-dim", "8", "--mlp-width", "96", "--window", "16", "--vocab-size",
                    "512", "--out", own], check=True, capture_output=True)
    for name in ("tokenizer.json", "chat.json"):
        shutil.copy(ROOT / "models/tiny-reasoner" / name, own)
    subprocess.run([sambay, "convert", "--model", own, "--to", "hf", "--out", folder / "hf", "--shard-bytes",
                    "300000"], check=True, capture_output=True)
    return folder / "hf"


def run_case(sambay, folder):
    prompt = "a" * 20_000  # what a pattern has to split
    begin = time.monotonic()
    process = subprocess.Popen([sambay, "run", folder, "--prompt", prompt, "--max-tokens", "1"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), out, err.decode(), time.monotonic() - begin, usage.ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sambay", required=True, type=pathlib.Path)
    sambay = parser.parse_args().sambay.resolve()
    bad = 0
    print("| file | what the program says | seconds | MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        model = make_model(sambay, scratch)
        for name, spoil in vars(Cases).items():
            if name.startswith("_") or not (spoil.__doc__ or "").strip():
                continue
            folder = scratch / "case"
            shutil.copytree(model, folder)
            spoil(Cases(folder))
            code, out, err, seconds, kib = run_case(sambay, folder)
            shutil.rmtree(folder)
            fine = code == 1 and not out and err.count("\n") == 1 and seconds < MOST_SECONDS and kib < MOST_KIB
            bad += not fine
            said = err.strip().replace(str(scratch) + "/", "").replace("|", "\\|").replace("\n", " / ")
            said = said if len(said) < 200 else said[:200] + "..."
            print(f"| {spoil.__doc__} | {'' if fine else f'**exit {code}**: '}`{said}` | {seconds:.2f} | {kib >> 10} |",
                  flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
