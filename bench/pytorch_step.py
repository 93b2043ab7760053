"""The counterpart of `dblocks bench` in PyTorch: eager forward, backward and AdamW of a pre-LN transformer.

Reads one JSON object a line, {"batch", "tokens", "width", "layers", "heads", "steps"}, and answers with the step times in milliseconds:
{"ms": [...]}. {"sgemm": n} answers with GFLOP/s of an n x n product. {"memory": {...}} answers with the peak of the process in bytes.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

threads = int(sys.argv[1])
torch.set_num_threads(threads)


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h):
        n, t, w = h.shape
        q, k, v = (x.view(n, t, self.heads, w // self.heads).transpose(1, 2) for x in self.qkv(self.norm1(h)).split(w, 2))
        weights = torch.softmax(q @ k.transpose(2, 3) * (w // self.heads) ** -0.5, -1)
        h = h + self.out((weights @ v).transpose(1, 2).reshape(n, t, w))
        return h + self.down(nn.functional.gelu(self.up(self.norm2(h))))


class Net(nn.Module):
    def __init__(self, width, layers, heads, checkpointing=False):
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.checkpointing = checkpointing

    def forward(self, h):
        for layer in self.layers:
            h = checkpoint(layer, h) if self.checkpointing else layer(h)
        return h


cases = {}


def steps(batch, tokens, width, layers, heads, steps, checkpointing=False):
    key = (batch, tokens, width, layers, heads, checkpointing)
    if key not in cases:
        net = Net(width, layers, heads, checkpointing)
        cases[key] = net, torch.optim.AdamW(net.parameters()), torch.randn(batch, tokens, width, requires_grad=checkpointing)
    net, optimizer, x = cases[key]
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        times.append(1000 * (time.perf_counter() - start))
    return times


def sgemm(n):
    a, b = torch.randn(n, n), torch.randn(n, n)
    best = 0
    for _ in range(6):
        start = time.perf_counter()
        a @ b
        best = max(best, 2 * n**3 / (time.perf_counter() - start) / 1e9)
    return best


def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def memory(**case):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    steps(**case)
    return status("VmHWM") - before


print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "sgemm" in request:
        answer = {"gflops": sgemm(request["sgemm"])}
    elif "memory" in request:
        answer = {"bytes": memory(**request["memory"])}
    else:
        answer = {"ms": steps(**request)}
    print(json.dumps(answer), flush=True)
