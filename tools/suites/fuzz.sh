# Every fuzzer for QUERN_FUZZ_SECONDS (10); not among the default suites. What it finds stays in
# build/fuzz/corpus/NAME, and starts there again.
# shellcheck shell=bash
cmake_build fuzz
while IFS= read -r name; do
  [ -n "$name" ] || continue
  mkdir -p "build/fuzz/corpus/$name"
  seeds=()
  if [ -d "fuzz/$name" ]; then seeds=("fuzz/$name"); fi
  check "$name" "build/fuzz/$name" -max_total_time="${QUERN_FUZZ_SECONDS:-10}" -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "${seeds[@]}"
done <build/fuzz/fuzzers.list
