#!/usr/bin/env bash
#
# golden.sh: renews the files that are made from the sources and compared by tests.

set -euo pipefail
SCRIPT_NAME=golden
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

cmake_build debug quern_operators
"$ROOT/build/debug/quern_operators" >"$ROOT/docs/operators.md"

# formats.md is written by hand up to a line, and from there on made.
cmake_build debug quern_formats_tables
made=$(mktemp)
sed '/^<!-- from here on: made by/q' "$ROOT/docs/formats.md" >"$made"
"$ROOT/build/debug/quern_formats_tables" >>"$made"
cat "$made" >"$ROOT/docs/formats.md"
rm "$made"
