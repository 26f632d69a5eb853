"""Architectures that no package is needed for, written out in torch: what bench/models.py exports.

All weights are random; every module takes and gives tensors, batch 1.
"""

import torch
from torch import nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.silu(self.norm(self.conv(x)))


class SplitBlock(nn.Module):
    """Half of the channels through bottlenecks, all of their results joined (YOLOv8's C2f)."""

    def __init__(self, inputs, outputs, count, shortcut):
        super().__init__()
        self.half = outputs // 2
        self.first = ConvBlock(inputs, outputs)
        self.inner = nn.ModuleList(
            nn.Sequential(ConvBlock(self.half, self.half, 3), ConvBlock(self.half, self.half, 3))
            for _ in range(count)
        )
        self.last = ConvBlock((2 + count) * self.half, outputs)
        self.shortcut = shortcut

    def forward(self, x):
        parts = list(self.first(x).split(self.half, 1))
        for inner in self.inner:
            y = inner(parts[-1])
            parts.append(parts[-1] + y if self.shortcut else y)
        return self.last(torch.cat(parts, 1))


class Detector(nn.Module):
    """A one-stage detector of YOLOv8n's size: backbone, feature pyramid, boxes by distributions."""

    def __init__(self, classes=80, bins=16):
        super().__init__()
        self.classes, self.bins = classes, bins
        self.stem = nn.Sequential(ConvBlock(3, 16, 3, 2), ConvBlock(16, 32, 3, 2), SplitBlock(32, 32, 1, True))
        self.down3 = nn.Sequential(ConvBlock(32, 64, 3, 2), SplitBlock(64, 64, 2, True))
        self.down4 = nn.Sequential(ConvBlock(64, 128, 3, 2), SplitBlock(128, 128, 2, True))
        self.down5 = nn.Sequential(ConvBlock(128, 256, 3, 2), SplitBlock(256, 256, 1, True))
        self.pool_in, self.pool_out = ConvBlock(256, 128), ConvBlock(512, 256)
        self.up4, self.up3 = SplitBlock(384, 128, 1, False), SplitBlock(192, 64, 1, False)
        self.again4, self.join4 = ConvBlock(64, 64, 3, 2), SplitBlock(192, 128, 1, False)
        self.again5, self.join5 = ConvBlock(128, 128, 3, 2), SplitBlock(384, 256, 1, False)
        widths = (64, 128, 256)
        self.boxes = nn.ModuleList(self.head(width, 64, 4 * bins) for width in widths)
        self.scores = nn.ModuleList(self.head(width, 80, classes) for width in widths)

    @staticmethod
    def head(inputs, width, outputs):
        return nn.Sequential(ConvBlock(inputs, width, 3), ConvBlock(width, width, 3), nn.Conv2d(width, outputs, 1))

    def forward(self, x):
        p3 = self.down3(self.stem(x))
        p4 = self.down4(p3)
        p5 = [self.pool_in(self.down5(p4))]
        for _ in range(3):
            p5.append(F.max_pool2d(p5[-1], 5, 1, 2))
        p5 = self.pool_out(torch.cat(p5, 1))
        p4 = self.up4(torch.cat([F.interpolate(p5, scale_factor=2.0), p4], 1))
        p3 = self.up3(torch.cat([F.interpolate(p4, scale_factor=2.0), p3], 1))
        p4 = self.join4(torch.cat([self.again4(p3), p4], 1))
        p5 = self.join5(torch.cat([self.again5(p4), p5], 1))
        boxes, scores = [], []
        for level, box, score in zip((p3, p4, p5), self.boxes, self.scores):
            boxes.append(box(level).flatten(2))
            scores.append(score(level).flatten(2))
        boxes = torch.cat(boxes, 2)
        places = boxes.view(1, 4, self.bins, -1).softmax(2)
        bins = torch.arange(self.bins, dtype=x.dtype, device=x.device).view(1, 1, -1, 1)
        return torch.cat([(places * bins).sum(2), torch.cat(scores, 2).sigmoid()], 1)


def attention(q, k, v, heads):
    """Of [batch, tokens, width] each."""

    def split(x):
        return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

    q, k, v = split(q), split(k), split(v)
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


class CrossAttention(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(context, width, bias=False)
        self.v = nn.Linear(context, width, bias=False)
        self.o = nn.Linear(width, width)

    def forward(self, x, context):
        return self.o(attention(self.q(x), self.k(context), self.v(context), self.heads))


class DiffusionBlock(nn.Module):
    """A down block of Stable Diffusion 1.5's U-Net at 64x64: residual and transformer, twice."""

    def __init__(self, width=320, heads=8, context=768, time=1280):
        super().__init__()
        self.layers = nn.ModuleList(DiffusionLayer(width, heads, context, time) for _ in range(2))

    def forward(self, x, time, context):
        for layer in self.layers:
            x = layer(x, time, context)
        return x


class DiffusionLayer(nn.Module):
    def __init__(self, width, heads, context, time):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, width), nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(time, width)
        self.norm2, self.conv2 = nn.GroupNorm(32, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm3, self.into = nn.GroupNorm(32, width), nn.Conv2d(width, width, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = CrossAttention(width, width, heads)
        self.cross = CrossAttention(width, context, heads)
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x, time, context):
        y = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(time))[:, :, None, None]
        x = x + self.conv2(F.silu(self.norm2(y)))
        y = self.into(self.norm3(x))
        _, channels, height, width = y.shape
        y = y.flatten(2).transpose(1, 2)
        z = self.norms[0](y)
        y = y + self.own(z, z)
        y = y + self.cross(self.norms[1](y), context)
        value, gate = self.up(self.norms[2](y)).chunk(2, -1)
        y = y + self.down(value * F.gelu(gate))
        return x + self.out(y.transpose(1, 2).reshape(1, channels, height, width))


class TextEncoder(nn.Module):
    """BERT's architecture, where transformers is missing or does not export."""

    def __init__(self, width, layers, heads, inner, vocabulary=30522):
        super().__init__()
        self.heads = heads
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(512, width)
        self.kinds, self.norm = nn.Embedding(2, width), nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "q": nn.Linear(width, width),
                    "k": nn.Linear(width, width),
                    "v": nn.Linear(width, width),
                    "o": nn.Linear(width, width),
                    "up": nn.Linear(width, inner),
                    "down": nn.Linear(inner, width),
                    "norm1": nn.LayerNorm(width, eps=1e-12),
                    "norm2": nn.LayerNorm(width, eps=1e-12),
                }
            )
            for _ in range(layers)
        )

    def forward(self, input_ids, attention_mask):
        places = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x = self.words(input_ids) + self.kinds(torch.zeros_like(input_ids)) + self.places(places)
        x = self.norm(x)
        mask = (1.0 - attention_mask[:, None, None].to(x.dtype)) * -1e9
        for layer in self.layers:

            def heads(y):
                return y.view(1, y.shape[1], self.heads, -1).transpose(1, 2)

            q, k, v = heads(layer["q"](x)), heads(layer["k"](x)), heads(layer["v"](x))
            weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + mask).softmax(-1)
            x = layer["norm1"](x + layer["o"]((weights @ v).transpose(1, 2).flatten(2)))
            x = layer["norm2"](x + layer["down"](F.gelu(layer["up"](x))))
        return x


class SpeechDecoderStep(nn.Module):
    """One token of Whisper-tiny's decoder: cached keys and values, its own and the sound's."""

    def __init__(self, width=384, layers=4, heads=6, vocabulary=51865):
        super().__init__()
        self.heads = heads
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(448, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    **{name: nn.Linear(width, width, bias=name != "k") for name in ("q", "k", "v", "o")},
                    "cross_q": nn.Linear(width, width),
                    "cross_o": nn.Linear(width, width),
                    "up": nn.Linear(width, 4 * width),
                    "down": nn.Linear(4 * width, width),
                    **{f"norm{i}": nn.LayerNorm(width) for i in range(3)},
                }
            )
            for _ in range(layers)
        )

    def forward(self, input_ids, position, past_k, past_v, sound_k, sound_v):
        """The caches are [layers, heads, tokens, size]."""
        x = self.words(input_ids) + self.places(position)
        keys, values = [], []
        for i, layer in enumerate(self.layers):

            def heads(y):
                return y.view(1, 1, self.heads, -1).transpose(1, 2)

            y = layer["norm0"](x)
            k = torch.cat([past_k[i : i + 1], heads(layer["k"](y))], 2)
            v = torch.cat([past_v[i : i + 1], heads(layer["v"](y))], 2)
            keys.append(k)
            values.append(v)
            q = heads(layer["q"](y))
            y = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v
            x = x + layer["o"](y.transpose(1, 2).flatten(2))
            q = heads(layer["cross_q"](layer["norm1"](x)))
            y = (q @ sound_k[i : i + 1].transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
            x = x + layer["cross_o"]((y @ sound_v[i : i + 1]).transpose(1, 2).flatten(2))
            x = x + layer["down"](F.gelu(layer["up"](layer["norm2"](x))))
        logits = self.norm(x) @ self.words.weight.T
        return logits, torch.cat(keys), torch.cat(values)
