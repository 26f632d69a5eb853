#!/usr/bin/env bash
#
# bench.sh [bench.mjs's options]       engines side by side: bench/bench.mjs
# bench.sh page [page.mjs's]            engines side by side in Chromium: bench/page.mjs
# bench.sh kernels [kernels.mjs's]     single operators on the GPU: bench/kernels.mjs
# bench.sh overhead MODELS [...]       Quern beside a program of empty kernels: bench/overhead.mjs
# bench.sh peers                       installs the other engines in bench/node_modules
#
# See bench/README.md. Needs ./dev build wasm wasm-threads runtime.

set -euo pipefail
SCRIPT_NAME=bench
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

what=${1:-}
case $what in
  peers)
    # The CPU build comes in the package; CUDA's would be downloaded.
    cd "$ROOT/bench" && ONNXRUNTIME_NODE_INSTALL=skip exec npm install --no-audit --no-fund
    ;;
  page | kernels | overhead) shift ;;
  *) what=bench ;;
esac
need_npm
[ -f "$ROOT/runtime/dist/node.js" ] || die "runtime/dist is not there: run ./dev build"
use_vulkan
node=(node --expose-gc)
# onnxruntime-web's JSPI build needs it, where Node knows it.
if node --experimental-wasm-jspi -e 0 2>/dev/null; then node+=(--experimental-wasm-jspi); fi
exec "${node[@]}" "$ROOT/bench/$what.mjs" "$ROOT/runtime" "$@"
