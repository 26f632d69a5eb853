# The C++ tests and the conformance cases, natively. Where the suite asan runs too, the C++ tests are
# left to it.
# shellcheck shell=bash
case " $SUITES " in
  *' asan '*) cmake_build debug quern_native quern_operators quern_formats_tables ;;
  *)
    cmake_build debug
    run_gtest build/debug/quern_tests
    ;;
esac
check 'conformance' node tests/conformance/run.mjs native build/debug/quern_native
check 'docs/operators.md (./dev golden)' diff -q docs/operators.md <(build/debug/quern_operators)
check 'docs/formats.md (./dev golden)' diff -q \
  <(sed '1,/^<!-- from here on: made by/d' docs/formats.md) <(build/debug/quern_formats_tables)
