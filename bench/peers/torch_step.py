#!/usr/bin/env python3
"""Times training steps (forward, loss, backward, clip, AdamW) of Transformer++ in PyTorch on the CPU.

The model is the one that `sambay` trains under the preset `transformer`: grouped-query attention with rotary positions, SwiGLU,
RMS norms, untied embeddings, muP++ multipliers. Matrix products are bf16 (autocast), weights and optimiser fp32.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        self.qkv = nn.Linear(o.width, (o.heads + 2 * o.kv_heads) * o.head_dim, bias=False)
        self.out = nn.Linear(o.heads * o.head_dim, o.width, bias=False)

    def forward(self, x, cos, sin):
        o = self.o
        rows, length, _ = x.shape
        q, k, v = (
            t.view(rows, length, -1, o.head_dim).transpose(1, 2)
            for t in self.qkv(x).split([n * o.head_dim for n in (o.heads, o.kv_heads, o.kv_heads)], -1)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if o.repeat_kv:
            k, v = (t.repeat_interleave(o.heads // o.kv_heads, 1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=o.score_scale, enable_gqa=not o.repeat_kv)
        return self.out(y.transpose(1, 2).reshape(rows, length, -1))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Mlp(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.up = nn.Linear(o.width, 8 * o.width, bias=False)
        self.down = nn.Linear(4 * o.width, o.width, bias=False)

    def forward(self, x):
        gate, up = self.up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Layer(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.residual = 1 / math.sqrt(2 * o.depth)
        self.norm_1, self.norm_2 = nn.RMSNorm(o.width, 1e-5), nn.RMSNorm(o.width, 1e-5)
        self.attention, self.mlp = Attention(o), Mlp(o)

    def forward(self, x, cos, sin):
        x = x + self.residual * self.attention(self.norm_1(x), cos, sin)
        return x + self.residual * self.mlp(self.norm_2(x))


class Transformer(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.logit_multiplier = 16 / o.depth
        self.embedding = nn.Embedding(o.vocab, o.width)
        self.layers = nn.ModuleList(Layer(o) for _ in range(o.depth))
        self.norm = nn.RMSNorm(o.width, 1e-5)
        self.head = nn.Linear(o.width, o.vocab, bias=False)
        angles = torch.outer(
            torch.arange(o.length).float(), 10000 ** (-torch.arange(0, o.head_dim, 2).float() / o.head_dim)
        )
        self.register_buffer("cos", angles.cos().bfloat16())
        self.register_buffer("sin", angles.sin().bfloat16())

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = self.head(self.norm(x) * self.logit_multiplier)
        return F.cross_entropy(logits.float().view(-1, logits.size(-1)), targets.reshape(-1))


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value, text in [
        ("depth", 8, "layers"),
        ("width", 704, "model width"),
        ("heads", 6, "query heads"),
        ("kv-heads", 2, "key and value heads"),
        ("head-dim", 128, "width of a head"),
        ("vocab", 32000, "tokens of the vocabulary"),
        ("rows", 4, "rows of a batch"),
        ("length", 1024, "tokens of a row"),
        ("threads", 2, "threads"),
        ("warmup", 2, "steps that are not counted"),
        ("steps", 5, "steps that are timed"),
    ]:
        p.add_argument(f"--{name}", type=int, default=value, help=f"{text} (%(default)s)")
    p.add_argument("--compile", action="store_true", help="through torch.compile (needs a C++ compiler)")
    p.add_argument("--repeat-kv", action="store_true", help="repeat keys and values instead of enable_gqa")
    p.add_argument("--profile", action="store_true", help="print where one step's time goes")
    return p.parse_args()


def main():
    o = parse()
    o.score_scale = math.sqrt(128) / o.head_dim
    torch.manual_seed(1)
    torch.set_num_threads(o.threads)
    model = Transformer(o)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    loss_of = torch.compile(model) if o.compile else model

    def step():
        ids = torch.randint(o.vocab, (o.rows, o.length + 1))
        begin, cpu = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(ids[:, :-1], ids[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - begin, time.process_time() - cpu, loss.item()

    for _ in range(o.warmup):
        step()
    if o.profile:
        with torch.profiler.profile() as profile:
            step()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))
    runs = [step() for _ in range(o.steps)]
    print(
        json.dumps(
            {
                "program": f"PyTorch {torch.__version__}"
                + (", compiled" if o.compile else "")
                + (", repeated keys and values" if o.repeat_kv else ", enable_gqa"),
                "parameters": sum(p.numel() for p in model.parameters()),
                "tokens": o.rows * o.length,
                "threads": o.threads,
                "step_seconds": statistics.median(r[0] for r in runs),
                "cpu_seconds": statistics.median(r[1] for r in runs),
                "loss": runs[-1][2],
            }
        )
    )


if __name__ == "__main__":
    main()
