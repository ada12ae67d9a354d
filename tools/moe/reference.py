#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
A second opinion on moe-run: the Mixtral architecture written down once more, in
double precision and as naively as possible, with a JSON parser of its own. In
Python for that independence; the standard library is enough.

usage: reference.py MODEL PROMPT TOKENS LOGITS

Continues PROMPT by TOKENS tokens and compares each step's logits with the floats
in LOGITS (moe-run --logits). Prints the tokens; exit status 1 if logits differ.
"""
import array
import json
import math
import struct
import sys


class Model:
    def __init__(self, path):
        with open(path, 'rb') as f:
            raw = f.read()
        (n,) = struct.unpack('<Q', raw[:8])
        self.header = json.loads(raw[8:8 + n])
        self.data = raw[8 + n:]
        self.meta = self.header.pop('__metadata__')
        self.cache = {}

    def conf(self, key):
        return float(self.meta[key])

    def tensor(self, name):
        """A list of rows, or a list of numbers if it has one dimension"""
        if name not in self.cache:
            t = self.header[name]
            begin, end = t['data_offsets']
            raw = self.data[begin:end]
            if t['dtype'] == 'BF16':
                half = struct.unpack('<%dH' % (len(raw) // 2), raw)
                raw = struct.pack('<%dI' % len(half), *[h << 16 for h in half])
            flat = struct.unpack('<%df' % (len(raw) // 4), raw)
            if len(t['shape']) == 2:
                cols = t['shape'][1]
                flat = [flat[i:i + cols] for i in range(0, len(flat), cols)]
            self.cache[name] = flat
        return self.cache[name]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def matvec(rows, x):
    return [dot(r, x) for r in rows]


def rmsnorm(x, weight, eps):
    scale = 1 / math.sqrt(dot(x, x) / len(x) + eps)
    return [w * v * scale for w, v in zip(weight, x)]


def softmax(x):
    e = [math.exp(v - max(x)) for v in x]
    return [v / math.fsum(e) for v in e]


def rotate(head, pos, theta):
    """Rotary embedding as Hugging Face does it: element i pairs with i + n/2"""
    half = len(head) // 2
    out = list(head)
    for i in range(half):
        angle = pos * theta ** (-2 * i / len(head))
        out[i] = head[i] * math.cos(angle) - head[i + half] * math.sin(angle)
        out[i + half] = head[i + half] * math.cos(angle) + head[i] * math.sin(angle)
    return out


def split(x, n):
    size = len(x) // n
    return [x[i * size:(i + 1) * size] for i in range(n)]


def attention(m, prefix, x, history):
    heads, kv_heads = int(m.conf('num_attention_heads')), int(m.conf('num_key_value_heads'))
    pos, theta = len(history), m.conf('rope_theta')
    q, k, v = [matvec(m.tensor(prefix + p + '_proj.weight'), x) for p in 'qkv']
    q = [rotate(h, pos, theta) for h in split(q, heads)]
    k = [rotate(h, pos, theta) for h in split(k, kv_heads)]
    history.append((k, split(v, kv_heads)))
    out = []
    for h in range(heads):
        kv = h * kv_heads // heads
        w = softmax([dot(q[h], keys[kv]) / math.sqrt(len(q[h])) for keys, _ in history])
        out += [math.fsum(a * values[kv][i] for a, (_, values) in zip(w, history))
                for i in range(len(q[h]))]
    return matvec(m.tensor(prefix + 'o_proj.weight'), out)


def experts(m, prefix, x):
    probs = softmax(matvec(m.tensor(prefix + 'gate.weight'), x))
    order = sorted(range(len(probs)), key=lambda e: -probs[e])
    chosen = order[:int(m.conf('num_experts_per_tok'))]
    total = math.fsum(probs[e] for e in chosen)
    out = [0.0] * len(x)
    for e in chosen:
        w1, w2, w3 = [m.tensor('%sexperts.%d.w%d.weight' % (prefix, e, i)) for i in (1, 2, 3)]
        a, b = matvec(w1, x), matvec(w3, x)
        hidden = [g / (1 + math.exp(-g)) * u for g, u in zip(a, b)]
        out = [o + probs[e] / total * y for o, y in zip(out, matvec(w2, hidden))]
    return out


def step(m, token, histories):
    eps = m.conf('rms_norm_eps')
    x = list(m.tensor('model.embed_tokens.weight')[token])
    for i, history in enumerate(histories):
        prefix = 'model.layers.%d.' % i
        n = rmsnorm(x, m.tensor(prefix + 'input_layernorm.weight'), eps)
        x = [a + b for a, b in zip(x, attention(m, prefix + 'self_attn.', n, history))]
        n = rmsnorm(x, m.tensor(prefix + 'post_attention_layernorm.weight'), eps)
        x = [a + b for a, b in zip(x, experts(m, prefix + 'block_sparse_moe.', n))]
    return matvec(m.tensor('lm_head.weight'), rmsnorm(x, m.tensor('model.norm.weight'), eps))


def main():
    m = Model(sys.argv[1])
    with open(sys.argv[2], 'rb') as f:
        todo = list(f.read())
    count = int(sys.argv[3])
    with open(sys.argv[4], 'rb') as f:
        got = array.array('f', f.read())
    vocab = int(m.conf('vocab_size'))
    steps = len(todo) + count - 1
    if len(got) != steps * vocab:
        sys.exit('%d logits, expected %d' % (len(got), steps * vocab))
    histories = [[] for _ in range(int(m.conf('num_hidden_layers')))]
    tokens, worst = [], 0
    for s in range(steps):
        token = todo[s] if s < len(todo) else tokens[-1]
        logits = step(m, token, histories)
        scale = max(abs(v) for v in logits)
        for i, v in enumerate(logits):
            off = abs(got[s * vocab + i] - v) / scale
            worst = max(worst, off)
            # floats have 24 bits; these have been through a few hundred sums
            if not off < 2e-5:
                sys.exit('step %d, token %d: logit %g, expected %g' %
                         (s, i, got[s * vocab + i], v))
        if s >= len(todo) - 1:
            tokens.append(logits.index(max(logits)))
    print(*tokens)
    print('%d steps, largest difference %.1e of the largest logit' % (steps, worst),
          file=sys.stderr)


main()
