"""A decoder of Llama-3.2-1B's shape with random weights, as ONNX graphs and in torch.

The graphs are written with onnx.helper as exporters for onnxruntime write them: f16, or linear
layers as MatMulNBits of 4 bits in blocks of 32; attention as GroupQueryAttention with rotary
embedding and caches, or (`plain`) in ONNX's own operators. Weights lie in one external file.
"""

import os
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper


@dataclass
class Shape:
    width: int = 2048
    layers: int = 16
    heads: int = 32
    kv_heads: int = 8
    inner: int = 8192
    vocabulary: int = 128256
    block: int = 32

    @property
    def size(self):
        return self.width // self.heads

    def linears(self):
        """name -> (inputs, outputs) of a layer's matrices."""
        kv = self.kv_heads * self.size
        return {
            "q": (self.width, self.width),
            "k": (self.width, kv),
            "v": (self.width, kv),
            "o": (self.width, self.width),
            "gate": (self.width, self.inner),
            "up": (self.width, self.inner),
            "down": (self.inner, self.width),
        }


def make_weights(shape, bits):
    """f16 tensors by name, [inputs, outputs]; of 4 bits, what the quantised ones stand for."""
    generator = torch.Generator().manual_seed(1)

    def normal(*dims):
        return (torch.randn(*dims, generator=generator) * dims[0] ** -0.5).half()

    weights = {"embed": (torch.randn(shape.vocabulary, shape.width, generator=generator)).half()}
    packed = {}
    names = [(f"{i}.{name}", dims) for i in range(shape.layers) for name, dims in shape.linears().items()]
    for name, dims in [*names, ("head", (shape.width, shape.vocabulary))]:
        weights[name] = normal(*dims)
        if bits == 4:
            weights[name], packed[name] = quantise(weights[name], shape.block)
    return weights, packed


def quantise(weight, block):
    """4 bits, zero at 8: (the matrix they stand for, (bytes [N, K/block, block/2], scales [N*K/block]))."""
    k, n = weight.shape
    rows = weight.T.float().reshape(n, k // block, block)
    scales = (rows.abs().amax(-1, keepdim=True) / 7).half()
    codes = (rows / scales.float().clamp(min=1e-8)).round().clamp(-8, 7) + 8
    stands = ((codes - 8) * scales.float()).reshape(n, k).T.contiguous().half()
    codes = codes.to(torch.uint8)
    return stands, ((codes[..., 0::2] | (codes[..., 1::2] << 4)).numpy(), scales.flatten().numpy())


def rotary(shape, length):
    """cos and sin [length, size / 2]."""
    frequency = 500000.0 ** (-torch.arange(0, shape.size, 2).float() / shape.size)
    angle = torch.arange(length).float()[:, None] * frequency[None]
    return angle.cos(), angle.sin()


class Decoder:
    """In torch, of any float type; `run` gives the last token's logits."""

    def __init__(self, shape, weights, device, dtype):
        self.shape = shape
        self.weights = {name: w.to(device=device, dtype=dtype) for name, w in weights.items()}
        cos, sin = rotary(shape, 1024)
        self.cos, self.sin = cos.to(device, dtype), sin.to(device, dtype)

    @staticmethod
    def norm(x):
        y = x.float()
        return (y * (y.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()).to(x.dtype)

    def rotate(self, x, start):
        tokens, half = x.shape[-2], x.shape[-1] // 2
        cos, sin = self.cos[start : start + tokens], self.sin[start : start + tokens]
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def run(self, input_ids, past):
        s, w = self.shape, self.weights
        x = w["embed"][input_ids]
        start = past[0][0].shape[2]
        tokens = input_ids.shape[1]
        for i in range(s.layers):
            y = self.norm(x)

            def heads(name, count):
                return (y @ w[f"{i}.{name}"]).view(1, tokens, count, s.size).transpose(1, 2)

            q = self.rotate(heads("q", s.heads), start)
            k = torch.cat([past[i][0], self.rotate(heads("k", s.kv_heads), start)], 2)
            v = torch.cat([past[i][1], heads("v", s.kv_heads)], 2)
            group = s.heads // s.kv_heads
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=tokens > 1)
            x = x + y.transpose(1, 2).reshape(1, tokens, s.width) @ w[f"{i}.o"]
            y = self.norm(x)
            y = torch.nn.functional.silu(y @ w[f"{i}.gate"]) * (y @ w[f"{i}.up"])
            x = x + y @ w[f"{i}.down"]
        return self.norm(x[:, -1:]) @ w["head"]


class DataFile:
    """External data: arrays one after the other, each name's written once."""

    def __init__(self, path):
        self.path, self.places = path, {}
        if os.path.exists(path):
            os.remove(path)

    def tensor(self, name, array):
        if name not in self.places:
            with open(self.path, "ab") as file:
                file.write(b"\0" * (-file.tell() % 4096))
                offset = file.tell()
                file.write(np.ascontiguousarray(array).tobytes())
                self.places[name] = (offset, file.tell() - offset)
        offset, length = self.places[name]
        tensor = TensorProto()
        tensor.name = name
        tensor.data_type = {"float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}[array.dtype.name]
        tensor.dims.extend(array.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", os.path.basename(self.path)), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


class GraphWriter:
    def __init__(self, shape, weights, packed, data, plain):
        self.shape, self.weights, self.packed = shape, weights, packed
        self.data, self.plain = data, plain
        self.nodes, self.initializers, self.count = [], [], 0

    def add(self, op, inputs, outputs=1, domain="", **attributes):
        names = [f"{op}_{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{self.count}", domain=domain, **attributes))
        self.count += 1
        return names[0] if outputs == 1 else names

    def small(self, name, array):
        if not any(tensor.name == name for tensor in self.initializers):
            self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def large(self, name, array):
        if not any(tensor.name == name for tensor in self.initializers):
            self.initializers.append(self.data.tensor(name, array))
        return name

    def ints(self, *values):
        name = "ints_" + "_".join(map(str, values))
        return self.small(name, np.array(values, dtype=np.int64))

    def linear(self, x, name):
        if name not in self.packed:
            return self.add("MatMul", [x, self.large(name, self.weights[name].numpy())])
        codes, scales = self.packed[name]
        k, n = self.weights[name].shape
        inputs = [x, self.large(f"{name}.codes", codes), self.large(f"{name}.scales", scales)]
        attributes = {"K": k, "N": n, "bits": 4, "block_size": self.shape.block}
        return self.add("MatMulNBits", inputs, domain="com.microsoft", **attributes)

    def norm(self, x, skip=None):
        """Normalised x (plus skip), and the sum."""
        ones = self.small("ones", np.ones(self.shape.width, dtype=np.float16))
        if skip is None:
            return self.add("SimplifiedLayerNormalization", [x, ones], axis=-1, epsilon=1e-5), x
        names = [f"skip_{self.count}_{i}" for i in range(2)]
        node = helper.make_node(
            "SkipSimplifiedLayerNormalization",
            [x, skip, ones],
            [names[0], "", "", names[1]],
            name=f"skip_{self.count}",
            domain="com.microsoft",
            epsilon=1e-5,
        )
        self.nodes.append(node)
        self.count += 1
        return tuple(names)

    def attend(self, i, q, k, v, tokens, past):
        s = self.shape
        cos, sin = (table.half().numpy() for table in rotary(s, 1024))
        outputs = [f"present.{i}.key", f"present.{i}.value"]
        pasts = [f"past.{i}.key", f"past.{i}.value"]
        if not self.plain:
            name = f"attention_{i}"
            self.nodes.append(
                helper.make_node(
                    "GroupQueryAttention",
                    [q, k, v, *pasts, "seqlens_k", "total_sequence_length", self.small("cos", cos), self.small("sin", sin)],
                    [name, *outputs],
                    name=name,
                    domain="com.microsoft",
                    num_heads=s.heads,
                    kv_num_heads=s.kv_heads,
                    do_rotary=1,
                    rotary_interleaved=0,
                    scale=s.size**-0.5,
                )
            )
            return name
        here = slice(past, past + tokens)

        def heads(x, count):
            x = self.add("Reshape", [x, self.ints(1, tokens, count, s.size)])
            return self.add("Transpose", [x], perm=[0, 2, 1, 3])

        def rotate(x):
            double = [np.concatenate([table, table], -1)[here] for table in (cos, sin)]
            a, b = self.add("Split", [x, self.ints(s.size // 2, s.size // 2)], 2, axis=-1)
            turned = self.add("Concat", [self.add("Neg", [b]), a], axis=-1)
            straight = self.add("Mul", [x, self.small("cos2", double[0])])
            return self.add("Add", [straight, self.add("Mul", [turned, self.small("sin2", double[1])])])

        def cached(new, place):
            self.nodes.append(helper.make_node("Concat", [pasts[place], new], [outputs[place]], axis=2))
            total, group = past + tokens, s.heads // s.kv_heads
            wide = self.add("Unsqueeze", [outputs[place], self.ints(2)])
            wide = self.add("Expand", [wide, self.ints(1, s.kv_heads, group, total, s.size)])
            return self.add("Reshape", [wide, self.ints(1, s.heads, total, s.size)])

        q, keys = rotate(heads(q, s.heads)), cached(rotate(heads(k, s.kv_heads)), 0)
        values = cached(heads(v, s.kv_heads), 1)
        scores = self.add("MatMul", [q, self.add("Transpose", [keys], perm=[0, 1, 3, 2])])
        scores = self.add("Mul", [scores, self.small("scale", np.float16(s.size**-0.5))])
        if tokens > 1:
            mask = np.triu(np.full((tokens, past + tokens), -65504, dtype=np.float16), past + 1)
            scores = self.add("Add", [scores, self.large("mask", mask)])
        y = self.add("MatMul", [self.add("Softmax", [scores], axis=-1), values])
        y = self.add("Transpose", [y], perm=[0, 2, 1, 3])
        return self.add("Reshape", [y, self.ints(1, tokens, s.width)])

    def write(self, path, tokens, past):
        s, value = self.shape, helper.make_tensor_value_info
        x = self.add("Gather", [self.large("embed", self.weights["embed"].numpy()), "input_ids"])
        y, _ = self.norm(x)
        for i in range(s.layers):
            q, k, v = (self.linear(y, f"{i}.{name}") for name in ("q", "k", "v"))
            attended = self.linear(self.attend(i, q, k, v, tokens, past), f"{i}.o")
            y, x = self.norm(x, attended)
            gate, up = self.linear(y, f"{i}.gate"), self.linear(y, f"{i}.up")
            gate = self.add("Mul", [gate, self.add("Sigmoid", [gate])])
            y, x = self.norm(x, self.linear(self.add("Mul", [gate, up]), f"{i}.down"))
        last = self.add("Gather", [y, self.ints(tokens - 1)], axis=1)
        logits = self.linear(last, "head")
        self.nodes.append(helper.make_node("Cast", [logits], ["logits"], to=TensorProto.FLOAT))
        half, cache = TensorProto.FLOAT16, [1, s.kv_heads, past, s.size]
        inputs = [value("input_ids", TensorProto.INT64, [1, tokens])]
        outputs = [value("logits", TensorProto.FLOAT, [1, 1, s.vocabulary])]
        if not self.plain:
            inputs.append(value("seqlens_k", TensorProto.INT32, [1]))
            inputs.append(value("total_sequence_length", TensorProto.INT32, []))
        for i in range(s.layers):
            for what in ("key", "value"):
                inputs.append(value(f"past.{i}.{what}", half, cache))
                outputs.append(value(f"present.{i}.{what}", half, [1, s.kv_heads, past + tokens, s.size]))
        graph = helper.make_graph(self.nodes, "llama", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="quern-bench")
        model.ir_version = 9
        onnx.save(model, path)
