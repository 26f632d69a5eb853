# The tests in Chromium.
# shellcheck shell=bash
for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
build_runtime
node app/build.mjs page
run_vitest browser
