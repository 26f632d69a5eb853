#!/usr/bin/env bash
#
# demo.sh [PICTURE.png...] [--device auto|webgpu|wasm] [--threads N] [--runs N]
# demo.sh --serve [--port N]
#
# Reads the text in pictures (one of app/pictures if none is named), or serves the page that does;
# installs and builds before that what is not there yet. See docs/demo.md.

set -euo pipefail
SCRIPT_NAME=demo
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

serve=0 args=()
for arg in "$@"; do
  case $arg in
    --serve) serve=1 ;;
    *) args+=("$arg") ;;
  esac
done

{
  "$ROOT/tools/setup.sh" --no-browser
  # What Dawn finds the driver of a GPU with.
  if compgen -G '/dev/dri/render*' >/dev/null || [ -e /dev/nvidiactl ]; then apt_install libvulkan1; fi
  for preset in wasm-core wasm-cpu wasm-threads; do cmake_build "$preset"; done
  build_runtime
  if [ $serve = 1 ]; then node "$ROOT/app/build.mjs" page; else node "$ROOT/app/build.mjs" cli; fi
} >&2

[ $serve = 0 ] || exec node "$ROOT/app/serve.mjs" "${args[@]}"
use_vulkan
exec node "$ROOT/app/dist/cli/demo.js" "${args[@]}"
