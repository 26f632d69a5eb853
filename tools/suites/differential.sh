# Random operators and small graphs, compared over native, WebAssembly, WebGPU and ONNX Runtime.
# QUERN_DIFFERENTIAL_SEED chooses other cases than those of every run (1).
# shellcheck shell=bash
for preset in wasm-core wasm-cpu; do cmake_build "$preset"; done
cmake_build wasm-core quern-trap
cmake_build debug quern_native
build_runtime
use_vulkan
check 'differential' node tests/differential/run.mjs --cases 3000 --graphs 300 \
  --seed "${QUERN_DIFFERENTIAL_SEED:-1}" --gpu-share 1/3
