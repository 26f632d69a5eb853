# The conformance cases on WebGPU: Dawn, and wgpu (naga) in Deno; the kernels' cases on both; with
# the core that traps on numeric work on the host. The shaders of pictures under naga: on Dawn and in
# Chromium they are tested with the runtime. Forms that only a tuner chooses are run on Dawn; wgpu,
# which can't leave the zeroing of workgroup memory to a loop, takes minutes to compile them.
# shellcheck shell=bash
cmake_build wasm-core all quern-trap
# The C++ tests tell of the kernels' cases: those with sanitizers, where that suite builds them.
cases_by=debug
case " $SUITES " in *' asan '*) cases_by=asan ;; esac
cmake_build "$cases_by" quern_tests
build_runtime
use_vulkan
export QUERN_GPU_CASES=$ROOT/build/gpu-cases.jsonl
rm -f "$QUERN_GPU_CASES"
"build/$cases_by/quern_tests" --gtest_brief=1 >/dev/null \
  --gtest_filter='Gpu*:Snippets*:KernelGpu*:KernelSubgroup*'
on_dawn() { node tests/kernels/run-wgsl.mjs --cases "$QUERN_GPU_CASES"; }
under_naga() {
  npx deno run -A --unstable-webgpu tests/kernels/run-wgsl.mjs --cases "$QUERN_GPU_CASES" \
    --compile ' form '
}
check_both 'kernels on Dawn' on_dawn -- 'kernels under naga' under_naga
pictures_under_naga() {
  npx deno run -A --unstable-webgpu --unstable-sloppy-imports tests/kernels/pixels.mjs
}
check 'pictures under naga' pictures_under_naga
check 'conformance on WebGPU' node tests/conformance/run.mjs webgpu
check 'conformance under naga' node tests/conformance/run.mjs naga
