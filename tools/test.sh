#!/usr/bin/env bash
#
# test.sh [SUITE...]: runs suites (tools/suites/SUITE.sh), all default ones without arguments.
#
# A suite is sourced in a shell of its own, in the root folder. It counts its tests with
#   counted PASSED FAILED     adds to the suite's numbers
#   check NAME COMMAND...     one test: does the command succeed?
#   check_both ...            two of them beside each other
#   run_gtest COMMAND...      the tests of a GoogleTest program
#   run_vitest PROJECT...     the tests of Vitest projects
# and fails where any test failed, or where a command did outside of these (a build, say).

set -euo pipefail
SCRIPT_NAME=test
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# Logs without colours.
[ -t 1 ] || { unset FORCE_COLOR && export NO_COLOR=1; }
DEFAULT_SUITES=(lint native asan wasm node gpu differential browser consumers)
TEMP=$(mktemp -d)
trap 'rm -rf "$TEMP"' EXIT

counted() { printf '%s %s\n' "$1" "$2" >>"$TEMP/counts"; }

check() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$TEMP/check.log" 2>&1; then
    printf 'ok      %s (%d s): %s\n' "$name" $((SECONDS - start)) "$(tail -n 1 "$TEMP/check.log")"
    counted 1 0
  else
    cat "$TEMP/check.log"
    printf 'FAILED  %s (%d s)\n' "$name" $((SECONDS - start))
    counted 0 1
  fi
}

# check_both NAME COMMAND -- NAME COMMAND: two tests beside each other, each of which keeps about
# one core busy. The commands are functions or programs without arguments.
check_both() {
  local -a names=("$1" "$4") commands=("$2" "$5") pids=()
  local i start=$SECONDS
  for i in 0 1; do
    ${commands[$i]} >"$TEMP/both.$i" 2>&1 &
    pids+=($!)
  done
  for i in 0 1; do
    if wait "${pids[$i]}"; then
      printf 'ok      %s (%d s): %s\n' "${names[$i]}" $((SECONDS - start)) "$(tail -n 1 "$TEMP/both.$i")"
      counted 1 0
    else
      cat "$TEMP/both.$i"
      printf 'FAILED  %s (%d s)\n' "${names[$i]}" $((SECONDS - start))
      counted 0 1
    fi
  done
}

# Two shards at a time on two cores; a shard that dies without a summary counts as one failure.
run_gtest() {
  local i pids=()
  for ((i = 0; i < JOBS; i++)); do
    GTEST_TOTAL_SHARDS=$JOBS GTEST_SHARD_INDEX=$i GTEST_BRIEF=1 GTEST_COLOR=no \
      "$@" >"$TEMP/gtest.$i" 2>&1 &
    pids+=($!)
  done
  for ((i = 0; i < JOBS; i++)); do
    local status=0 passed failed
    wait "${pids[$i]}" || status=$?
    passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$TEMP/gtest.$i" | tail -n 1)
    failed=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) tests\{0,1\}, listed.*/\1/p' "$TEMP/gtest.$i" | tail -n 1)
    [ $status -eq 0 ] || cat "$TEMP/gtest.$i"
    if [ $status -ne 0 ] && [ "${failed:-0}" -eq 0 ]; then
      printf 'FAILED  %s: exit status %d\n' "$*" $status
      failed=1
    fi
    counted "${passed:-0}" "${failed:-0}"
  done
}

run_vitest() {
  need_npm
  local args=() p status=0
  for p in "$@"; do args+=(--project "$p"); done
  npx vitest run "${args[@]}" --reporter=default --reporter=json --outputFile.json="$TEMP/vitest.json" ||
    status=$?
  local counts
  counts=$(node -e '
    const r = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    // A file that could not be loaded has no tests and fails all the same.
    const broken = r.testResults.filter((f) => f.status === "failed" &&
      !f.assertionResults.some((t) => t.status === "failed")).length;
    console.log(r.numPassedTests, r.numFailedTests + broken);
  ' "$TEMP/vitest.json" 2>/dev/null) || counts='0 1'
  # Errors outside of tests (an unhandled rejection) fail the run too.
  if [ $status -ne 0 ] && [ "${counts#* }" -eq 0 ]; then counts="${counts% *} 1"; fi
  # shellcheck disable=SC2086
  counted $counts
}

run_suite() {
  local suite=$1 start=$SECONDS status=0 passed failed
  printf '\n== %s ==\n' "$suite"
  : >"$TEMP/counts"
  # Not as a condition of `if` or `||`: there bash would ignore errors inside.
  set +e
  (
    set -e
    # shellcheck source=/dev/null
    . "tools/suites/$suite.sh"
  )
  status=$?
  set -e
  passed=$(awk '{n += $1} END {print n + 0}' "$TEMP/counts")
  failed=$(awk '{n += $2} END {print n + 0}' "$TEMP/counts")
  if [ $status -ne 0 ]; then
    printf 'FAILED  suite %s: a step before its tests, exit status %d\n' "$suite" "$status"
    failed=$((failed + 1))
  fi
  printf -- '-- %s: %d ok, %d not ok, %d s\n' "$suite" "$passed" "$failed" $((SECONDS - start))
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
}

[ $# -gt 0 ] || set -- "${DEFAULT_SUITES[@]}"
for suite in "$@"; do
  [ -f "tools/suites/$suite.sh" ] || die "no suite $suite; there are: $(basename -s .sh tools/suites/*.sh | xargs)"
done
SUITES=$* # for a suite that leaves something to another
total_passed=0 total_failed=0
for suite in "$@"; do run_suite "$suite"; done
printf '\n%d passed, %d failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
