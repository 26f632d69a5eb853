# All WebAssembly modules; the C++ tests and the conformance cases as WebAssembly with SIMD, in Node.
# shellcheck shell=bash
for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
cmake_build wasm-cpu quern_tests
for name in quern-core quern-formats quern-cpu quern-cpu-threads; do
  check "$name" node tools/check-wasm.mjs "runtime/wasm/$name.js"
done
run_gtest node build/wasm-cpu/quern_tests.cjs
build_runtime
check 'conformance' node tests/conformance/run.mjs wasm
