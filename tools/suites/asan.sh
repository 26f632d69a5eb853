# The C++ tests with the address and undefined-behaviour sanitizers; warnings are errors.
# shellcheck shell=bash
cmake_build asan quern_tests quern_mutate
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
ASAN_SYMBOLIZER_PATH=$(command -v "llvm-symbolizer-$LLVM" || true)
export ASAN_SYMBOLIZER_PATH
run_gtest build/asan/quern_tests
# Broken models: at least a third of them get past the parser, all end in an answer.
node tests/conformance/run.mjs --unpack >/dev/null
check 'mutations' node tests/conformance/mutate.mjs build/asan/quern_mutate "${QUERN_MUTATIONS:-10000}"
