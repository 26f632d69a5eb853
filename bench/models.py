#!/usr/bin/env python3
"""Full-size models with random weights as ONNX, with reference inputs and outputs and torch's times.

  python3 bench/models.py OUT [--only NAME,...] [--torch-time] [--no-export] [--list]

Needs torch, numpy and onnx; timm and transformers for some. Nothing is downloaded: configurations
only, weights are random. For each model OUT gets NAME.onnx (opset 17, batch 1, shapes fixed),
NAME.input.X.npy, NAME.output.X.npy (torch, f32 on the CPU) and, where not all outputs are to be
read back, NAME.json. What fails is said at the end and stops no other model. --torch-time writes
OUT/torch.json: median milliseconds on CUDA of a replayed graph (f32 with torch's defaults, that is
convolutions in TF32; `strict`: without), with f16 weights of those models that have them.
"""

import argparse
import contextlib
import inspect
import json
import os
import statistics
import sys
import time
import traceback
import warnings

import numpy as np
import torch

warnings.simplefilter("ignore")
os.environ.setdefault("TIMM_FUSED_ATTN", "0")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import architectures  # noqa: E402

torch.set_grad_enabled(False)


def image(size):
    return {"x": torch.rand(1, 3, size, size) * 2 - 1}


def tokens(count, vocabulary=30000):
    ids = torch.arange(count)[None] * 7919 % vocabulary
    return {"input_ids": ids, "attention_mask": torch.ones(1, count, dtype=torch.long)}


def timm_model(name, **options):
    def make():
        import timm

        with contextlib.suppress(Exception):
            timm.layers.set_fused_attn(False)
        return timm.create_model(name, pretrained=False, **options)

    return make


def vision_model(name):
    def make():
        import torchvision

        return getattr(torchvision.models, name)()

    return make


def first_of(*makers):
    """The first that can be made here."""

    def make():
        errors = []
        for maker in makers:
            try:
                return maker()
            except Exception as error:  # a package is missing, or has another name for it
                errors.append(f"{type(error).__name__}: {error}")
        raise RuntimeError("; ".join(errors))

    return make


class Picked(torch.nn.Module):
    """A model of transformers that gives one tensor."""

    def __init__(self, model, pick):
        super().__init__()
        self.model, self.pick = model, pick

    def forward(self, *inputs):
        return self.pick(self.model, *inputs)


def bert(width, layers, heads, inner):
    def hugging_face():
        import transformers

        config = transformers.BertConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=inner,
        )
        config._attn_implementation = "eager"
        model = transformers.BertModel(config, add_pooling_layer=False)
        return Picked(model, lambda m, ids, mask: m(input_ids=ids, attention_mask=mask)[0])

    return [hugging_face, lambda: architectures.TextEncoder(width, layers, heads, inner)]


def segformer():
    import transformers

    config = transformers.SegformerConfig(num_labels=150)
    config._attn_implementation = "eager"
    return Picked(transformers.SegformerForSemanticSegmentation(config), lambda m, x: m(x).logits)


def whisper_encoder():
    import transformers

    config = transformers.WhisperConfig()  # its defaults are the tiny model's
    config._attn_implementation = "eager"
    return Picked(transformers.WhisperModel(config).encoder, lambda m, x: m(x)[0])


def decoder_inputs(past=64):
    shape = (4, 6)
    return {
        "input_ids": torch.tensor([[50364]]),
        "position": torch.tensor([[past]]),
        "past_k": torch.randn(*shape, past, 64),
        "past_v": torch.randn(*shape, past, 64),
        "sound_k": torch.randn(*shape, 1500, 64),
        "sound_v": torch.randn(*shape, 1500, 64),
    }


def diffusion_inputs():
    return {"x": torch.randn(1, 320, 64, 64), "time": torch.randn(1, 1280), "context": torch.randn(1, 77, 768)}


# name -> (makers, the first that exports is taken; inputs; outputs' names)
MODELS = {
    "resnet50": ([first_of(timm_model("resnet50"), vision_model("resnet50"))], lambda: image(224), ["y"]),
    "mobilenet_v2": ([first_of(timm_model("mobilenetv2_100"), vision_model("mobilenet_v2"))], lambda: image(224), ["y"]),
    "mobilenet_v3": (
        [first_of(timm_model("mobilenetv3_large_100"), vision_model("mobilenet_v3_large"))],
        lambda: image(224),
        ["y"],
    ),
    "efficientnet_b0": (
        [first_of(timm_model("efficientnet_b0"), vision_model("efficientnet_b0"))],
        lambda: image(224),
        ["y"],
    ),
    "convnext_tiny": ([first_of(timm_model("convnext_tiny"), vision_model("convnext_tiny"))], lambda: image(224), ["y"]),
    "vit_b16": ([timm_model("vit_base_patch16_224")], lambda: image(224), ["y"]),
    "swin_tiny": (
        [timm_model("swin_tiny_patch4_window7_224"), vision_model("swin_t")],
        lambda: image(224),
        ["y"],
    ),
    "segformer_b0": ([segformer], lambda: image(512), ["y"]),
    "detector": ([architectures.Detector], lambda: image(640), ["y"]),
    "diffusion_block": ([architectures.DiffusionBlock], diffusion_inputs, ["y"]),
    "bert_base_128": (bert(768, 12, 12, 3072), lambda: tokens(128), ["y"]),
    "bert_base_512": (bert(768, 12, 12, 3072), lambda: tokens(512), ["y"]),
    "minilm_64": (bert(384, 6, 12, 1536), lambda: tokens(64), ["y"]),
    "whisper_encoder": ([whisper_encoder], lambda: {"x": torch.randn(1, 80, 3000)}, ["y"]),
    "whisper_decoder_step": ([architectures.SpeechDecoderStep], decoder_inputs, ["logits", "present_k", "present_v"]),
}

# name -> (tokens, past, bits, attention in ONNX's own operators)
LLAMAS = {
    "llama_1b_prefill_f16": (512, 0, 16, False),
    "llama_1b_decode_f16": (1, 512, 16, False),
    "llama_1b_prefill_f16_plain": (512, 0, 16, True),
    "llama_1b_decode_f16_plain": (1, 512, 16, True),
    "llama_1b_prefill_q4": (512, 0, 4, False),
    "llama_1b_decode_q4": (1, 512, 4, False),
    "llama_1b_decode_q4_plain": (1, 512, 4, True),
}


def save(out, name, what, tensors):
    for key, tensor in tensors.items():
        array = tensor.detach().cpu().contiguous().numpy() if isinstance(tensor, torch.Tensor) else tensor
        np.save(f"{out}/{name}.{what}.{key}.npy", array)


def listed(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def export(model, inputs, outputs, path):
    options = {"opset_version": 17, "do_constant_folding": True}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    torch.onnx.export(
        model, tuple(inputs.values()), path, input_names=list(inputs), output_names=outputs, **options
    )


def cuda_times(run, graph=True):
    """Median milliseconds of `run` on the GPU, replayed as a CUDA graph where that can be."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    replay, captured = run, False
    if graph:
        try:
            recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recorded):
                run()
            replay, captured = recorded.replay, True
        except Exception as error:
            print(f"    no CUDA graph: {str(error).splitlines()[0][:120]}")
            torch.cuda.synchronize()
    for _ in range(5):
        replay()
    times = []
    for _ in range(50):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return {"ms": statistics.median(times), "p10": sorted(times)[5], "p90": sorted(times)[45], "graph": captured}


def timed_with_tf32(run):
    """As torch is by default, and with convolutions in f32 too."""
    result = cuda_times(run)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        result["strict"] = cuda_times(run)["ms"]
    finally:
        torch.backends.cudnn.allow_tf32 = before
    return result


def do_model(name, out, options):
    makers, make_inputs, outputs = MODELS[name]
    errors = []
    for make in makers:
        torch.manual_seed(0)
        try:
            model = make().eval().float()
            inputs = make_inputs()
            expected = listed(model(*inputs.values()))
            if not options.no_export:
                export(model, inputs, outputs, f"{out}/{name}.onnx")
            break
        except Exception as error:
            errors.append(f"{type(error).__name__}: {str(error)[:300]}")
    else:
        raise RuntimeError("; ".join(errors))
    save(out, name, "input", inputs)
    # A decoder's caches would stay on the device.
    read = outputs[:1] if outputs[0] == "logits" else outputs
    save(out, name, "output", dict(zip(read, expected)))
    write_json(f"{out}/{name}.json", {"outputs": read})
    if not options.torch_time:
        return None
    model = model.cuda()
    moved = [tensor.cuda() for tensor in inputs.values()]
    return timed_with_tf32(lambda: model(*moved))


_llama_weights = {}


def do_llama(name, out, options):
    import llama

    count, past, bits, plain = LLAMAS[name]
    shape = llama.Shape()
    if bits not in _llama_weights:
        _llama_weights.clear()  # one set at a time: they are large
        _llama_weights[bits] = llama.make_weights(shape, bits)
    weights, packed = _llama_weights[bits]
    if not options.no_export:
        data = llama.DataFile(f"{out}/{name}.data")
        llama.GraphWriter(shape, weights, packed, data, plain).write(f"{out}/{name}.onnx", count, past)
    generator = torch.Generator().manual_seed(2)
    cache = [
        [torch.randn(1, shape.kv_heads, past, shape.size, generator=generator).half() for _ in range(2)]
        for _ in range(shape.layers)
    ]
    ids = torch.arange(count)[None] * 7919 % shape.vocabulary
    inputs = {"input_ids": ids}
    if not plain:
        inputs["seqlens_k"] = torch.tensor([past + count - 1], dtype=torch.int32)
        inputs["total_sequence_length"] = torch.tensor(past + count, dtype=torch.int32)
    for i, (k, v) in enumerate(cache):
        inputs[f"past.{i}.key"], inputs[f"past.{i}.value"] = k, v
    device = "cuda" if torch.cuda.is_available() else "cpu"
    decoder = llama.Decoder(shape, weights, device, torch.float32)
    moved = [[t.to(device).float() for t in pair] for pair in cache]
    logits = decoder.run(ids.to(device), moved)
    save(out, name, "input", inputs)
    save(out, name, "output", {"logits": logits})
    write_json(f"{out}/{name}.json", {"outputs": ["logits"]})
    del decoder, moved
    if not options.torch_time or bits != 16:
        return None
    decoder = llama.Decoder(shape, weights, "cuda", torch.float16)
    ids = ids.cuda()
    moved = [[t.cuda() for t in pair] for pair in cache]
    return {**cuda_times(lambda: decoder.run(ids, moved)), "dtype": "f16"}


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?")
    parser.add_argument("--only", default="")
    parser.add_argument("--torch-time", action="store_true")
    parser.add_argument("--no-export", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    names = [*MODELS, *LLAMAS]
    if options.list or not options.out:
        print("\n".join(names))
        return 0
    wanted = [name for name in options.only.split(",") if name]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}; --list")
    if options.torch_time and not torch.cuda.is_available():
        parser.error("--torch-time: there is no CUDA device")
    os.makedirs(options.out, exist_ok=True)
    rows, times = [], {}
    for name in wanted or names:
        begun = time.time()
        try:
            measured = (do_model if name in MODELS else do_llama)(name, options.out, options)
            if measured:
                times[name] = measured
            path = f"{options.out}/{name}.onnx"
            size = os.path.getsize(path) / 1e6 if os.path.exists(path) else 0
            said = f"{size:8.1f} MB" + (f"  torch {measured['ms']:.3f} ms" if measured else "")
            rows.append((name, "ok", said))
        except Exception as error:
            traceback.print_exc(limit=-4)
            rows.append((name, "FAILED", f"{type(error).__name__}: {str(error)[:400]}".replace("\n", " ")))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"{name:28} {rows[-1][1]:6} {time.time() - begun:6.1f} s  {rows[-1][2]}", flush=True)
    if times:
        device = torch.cuda.get_device_name()
        write_json(f"{options.out}/torch.json", {"device": device, "torch": torch.__version__, "models": times})
    failed = [row for row in rows if row[1] != "ok"]
    print(f"\n{len(rows) - len(failed)} made, {len(failed)} failed")
    for name, _, why in failed:
        print(f"  {name}: {why}")
    return 1 if failed and len(failed) == len(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
