# The C++ tests, natively.
# shellcheck shell=bash
cmake_build debug
run_gtest build/debug/quern_tests
