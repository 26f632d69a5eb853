# The packed package in the hands of bundlers, pages, workers, Node and Deno; its published types.
# shellcheck shell=bash
for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
build_runtime
install_packages tests/consumers
run_vitest consumers
