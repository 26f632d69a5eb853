#!/usr/bin/env bash
#
# golden.sh: renews the files that are made from the sources and compared by tests.

set -euo pipefail
SCRIPT_NAME=golden
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

cmake_build debug quern_operators
"$ROOT/build/debug/quern_operators" >"$ROOT/docs/operators.md"
