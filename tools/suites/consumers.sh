# The packed package in the hands of bundlers, pages, workers, Node and Deno; its published types.
# shellcheck shell=bash
for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
build_runtime
install_packages tests/consumers
# Next is 340 MB of packages.
if [ -n "${QUERN_LONG:-}" ]; then install_packages tests/consumers/next; fi
run_vitest consumers
