"""The operations of the models, one function each, as the specification writes them.

Every function works in its inputs' dtype, differentiates through torch and favours being obvious.
Rows of several documents lie end to end; `Rows` says where each document starts.
"""

import math

import torch


class Rows:
    """The packing of T rows: `begin` holds the documents' first rows and T at the end."""

    def __init__(self, begin):
        self.begin = [int(b) for b in begin]
        self.count = self.begin[-1]
        start = torch.zeros(self.count, dtype=torch.int64)
        for first, end in zip(self.begin, self.begin[1:]):
            start[first:end] = first
        self.start = start  # (T) first row of the row's own document
        self.index = torch.arange(self.count)

    def starts_document(self, t):
        return int(self.start[t]) == t

    def visible(self, window):
        """(T, T): row i may look at row j; window 0 is unlimited, else w keys including itself."""
        i, j = self.index[:, None], self.index[None, :]
        mask = (j <= i) & (j >= self.start[:, None])
        return mask & (i - j < window) if window else mask


def silu(x):
    return x * torch.sigmoid(x)


def softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def silu_mul(gate, up):
    return silu(gate) * up


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + eps) * weight + bias


def rope(x, positions, base):
    """x (T, heads, d); half split: n turns with n + d / 2."""
    d = x.shape[-1]
    n = torch.arange(d // 2, dtype=torch.float64)
    angle = positions.to(torch.float64)[:, None] * base ** (-2.0 * n / d)
    cos, sin = torch.cos(angle).to(x.dtype)[:, None, :], torch.sin(angle).to(x.dtype)[:, None, :]
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def causal_conv1d(x, weight, bias, rows):
    """x (T, E), weight (E, W), bias (E) or None: sum_j weight[:, j] x[t - (W - 1) + j]."""
    width = weight.shape[1]
    out = torch.zeros_like(x) if bias is None else bias.expand_as(x)
    for j in range(width):
        source = rows.index - (width - 1) + j
        inside = (source >= rows.start).to(x.dtype)[:, None]
        out = out + weight[:, j] * x[source.clamp(min=0)] * inside
    return out


def selective_scan(u, dt_raw, b, c, a_log, skip, dt_bias, rows):
    """u, dt_raw (T, E), b, c (T, N), a_log (E, N), skip, dt_bias (E). Gives y (T, E)."""
    dt = softplus(dt_raw + dt_bias)
    a = -torch.exp(a_log)
    y = []
    for t in range(rows.count):
        state = torch.zeros_like(a) if rows.starts_document(t) else state
        state = torch.exp(dt[t][:, None] * a) * state + (dt[t] * u[t])[:, None] * b[t][None, :]
        y.append(state @ c[t] + skip * u[t])
    return torch.stack(y)


def mamba2_scan(u, dt_raw, b, c, a_log, skip, dt_bias, rows):
    """u (T, P, width), dt_raw (T, P), b, c (T, N), a_log, skip, dt_bias (P). Gives y like u."""
    dt = softplus(dt_raw + dt_bias)
    y = []
    for t in range(rows.count):
        if rows.starts_document(t):
            state = u.new_zeros(u.shape[1], u.shape[2], b.shape[1])
        decay = torch.exp(-dt[t] * torch.exp(a_log))
        state = decay[:, None, None] * state + (dt[t][:, None] * u[t])[:, :, None] * b[t]
        y.append(state @ c[t] + skip[:, None] * u[t])
    return torch.stack(y)


def gated_delta_rule(q, k, v, beta, g, rows):
    """q, k (T, P, key width), v (T, P, value width), beta, g (T, P). Gives o like v."""
    o = []
    for t in range(rows.count):
        if rows.starts_document(t):
            state = q.new_zeros(q.shape[1], q.shape[2], v.shape[2])
        state = torch.exp(g[t])[:, None, None] * state
        recalled = torch.einsum("pkv,pk->pv", state, k[t])
        correction = beta[t][:, None] * (v[t] - recalled)
        state = state + k[t][:, :, None] * correction[:, None, :]
        o.append(torch.einsum("pkv,pk->pv", state, q[t]))
    return torch.stack(o)


def attention(q, k, v, visible, scale, paired=False):
    """q (Q, H, d), k, v (T, K, d), visible (Q, T). Gives out (Q, H, d or 2d) and lse (Q, H).

    Plain: query head n reads kv head n // (H / K). Paired (differential attention): query head
    2n + r reads key head 2m + r and value heads 2m, 2m + 1 side by side, m = n // (H / K).
    """
    heads, kv_heads, d = q.shape[1], k.shape[1], q.shape[2]
    group = heads // kv_heads
    if paired:
        k_head = [2 * (n // 2 // group) + n % 2 for n in range(heads)]
        v_head = [n // 2 // group for n in range(heads)]
        v = v.reshape(v.shape[0], kv_heads // 2, 2 * d)
    else:
        k_head = v_head = [n // group for n in range(heads)]
    scores = scale * torch.einsum("qhd,thd->hqt", q, k[:, k_head])
    scores = scores.masked_fill(~visible, -math.inf)
    out = torch.einsum("hqt,thv->qhv", torch.softmax(scores, dim=-1), v[:, v_head])
    return out, torch.logsumexp(scores, dim=-1).T


def lambda_init(layer):
    """lam0 of differential attention; layer counts every layer of the model, from 0."""
    return 0.8 - 0.6 * math.exp(-0.3 * layer)


def differential(attn, lambda_q1, lambda_k1, lambda_q2, lambda_k2, subln, lambda_0, eps):
    """attn (T, H, 2d): the two softmaxes of each pair. Gives (T, H / 2, 2d)."""
    lam = (torch.exp((lambda_q1 * lambda_k1).sum()) - torch.exp((lambda_q2 * lambda_k2).sum())
           + lambda_0)
    o = attn[:, 0::2] - lam * attn[:, 1::2]
    return rms_norm(o, subln, eps) * (1 - lambda_0)


def cross_entropy(logits, targets, vocabulary, label_smoothing=0.0):
    """logits (T, V), targets (T), below 0 ignored; columns from `vocabulary` on are padding.

    Gives the rows' losses and their negative log likelihoods, of the rows that count.
    """
    counted = targets >= 0
    log_probs = torch.log_softmax(logits[counted][:, :vocabulary], dim=-1)
    nll = -log_probs.gather(1, targets[counted][:, None].to(torch.int64))[:, 0]
    smooth = -log_probs.mean(-1)
    return (1 - label_smoothing) * nll + label_smoothing * smooth, nll
