# The TypeScript tests in Node: units, and those with WebGPU (Dawn).
# shellcheck shell=bash
for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
cmake_build wasm-core quern-trap
cmake_build debug quern_native
build_runtime
node app/build.mjs cli
run_vitest unit node
