#!/usr/bin/env python3
"""Writes a model of the Transformer that Phi-4-mini is, with random weights, for llama.cpp.

Weights repeat a short random pattern, so that writing takes no longer than the disk. All matrices, the embedding (which is the
head, too) included, are of the one format that is named.
"""

import argparse
import pathlib

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, VOCABULARY = 3072, 32, 24, 8, 8192, 200064
HEAD = WIDTH // HEADS
FORMATS = {"bf16": "BF16", "f16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0"}
PATTERN = 1 << 20  # weights


def matrices():
    """Names and shapes (rows, columns) in the order of the file."""
    yield "token_embd", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        yield f"blk.{i}.attn_qkv", (WIDTH + 2 * KV_HEADS * HEAD, WIDTH)
        yield f"blk.{i}.attn_output", (WIDTH, WIDTH)
        yield f"blk.{i}.ffn_up", (2 * HIDDEN, WIDTH)  # gate, then up
        yield f"blk.{i}.ffn_down", (WIDTH, HIDDEN)


def vectors():
    for i in range(LAYERS):
        yield f"blk.{i}.attn_norm"
        yield f"blk.{i}.ffn_norm"
    yield "output_norm"


def pattern(kind):
    weights = np.random.default_rng(1).normal(0, 0.02, PATTERN).astype(np.float32)
    return gguf.quants.quantize(weights, kind).view(np.uint8).reshape(-1)


def describe(writer, kind):
    writer.add_name(f"Phi-4-mini geometry, random {kind.name}")
    writer.add_context_length(131072)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(3 * HEAD // 4)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("none")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("format", choices=FORMATS)
    p.add_argument("out", type=pathlib.Path)
    options = p.parse_args()
    kind = gguf.GGMLQuantizationType[FORMATS[options.format]]
    writer = gguf.GGUFWriter(options.out, "phi3")
    describe(writer, kind)
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    sizes = []
    for name, (rows, columns) in matrices():
        row_bytes = columns // block * block_bytes
        sizes.append(rows * row_bytes)
        writer.add_tensor_info(f"{name}.weight", (rows, row_bytes), np.dtype(np.uint8), sizes[-1], raw_dtype=kind)
    for name in vectors():
        writer.add_tensor_info(f"{name}.weight", (WIDTH,), np.dtype(np.float32), 4 * WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    weights = pattern(kind)
    for size in sizes:
        writer.write_tensor_data(np.resize(weights, size))
    for _ in vectors():
        writer.write_tensor_data(np.ones(WIDTH, np.float32))
    writer.close()


if __name__ == "__main__":
    main()
