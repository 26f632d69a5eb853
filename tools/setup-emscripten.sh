#!/usr/bin/env bash
#
# setup-emscripten.sh PREFIX [--full]
#
# Provides a C++23 -> WebAssembly compiler (Emscripten >= 3.1.69) from Debian
# packages alone; no emsdk, no prebuilt downloads from elsewhere.
#
#   1. An emcc >= 3.1.69 on PATH           -> nothing to do.
#   2. apt offers emscripten >= 3.1.69     -> `apt-get install emscripten`
#      (Debian 13 "trixie" and later).
#   3. Debian 12 "bookworm"                -> clang-19/lld-19/llvm-19 by apt from
#      bookworm itself; emscripten, binaryen and acorn are trixie's packages,
#      fetched with a private apt state (the system's sources stay untouched,
#      signatures are verified with Debian's keyring as always) and unpacked
#      into PREFIX. Nothing of trixie is installed into the system. binaryen
#      needs a newer glibc than bookworm has, so its programs are run through
#      trixie's own ld.so and libraries, which are unpacked beside them.
#
# Result of (3):   PREFIX/bin/{emcc,em++,emcmake,emar,emranlib,...}
#                  PREFIX/usr/share/emscripten/   (EMSCRIPTEN_ROOT; holds the
#                      CMake toolchain file cmake/Modules/Platform/Emscripten.cmake
#                      and the configuration file .emscripten)
#                  PREFIX/binaryen/bin/           (wasm-opt, wasm-dis, ...)
#                  PREFIX/env.sh                  (source it to get PATH)
#                  PREFIX/versions.txt            (packages unpacked)
#
# On success the last lines on standard output are
#     EMSCRIPTEN_BIN=<folder with emcc>
#     EMSCRIPTEN_ROOT=<emscripten's own folder>
# and everything else goes to standard error, so a caller may do
#     eval "$(setup-emscripten.sh PREFIX)"
#
# A second run is a fast no-op. Not being root is fine as long as the apt
# packages are there already; otherwise the command to run as root is printed.
#
# --full   keep the position-independent libraries (pic/, lto-pic/: needed for
#          -sMAIN_MODULE / -sSIDE_MODULE only) and emscripten's own tests: 0.8 GB.
#
# Environment:
#   DEBIAN_MIRROR    mirror for the trixie packages
#                    (default: the mirror that this machine's apt already uses)
#   DEBIAN_KEYRING   default /usr/share/keyrings/debian-archive-keyring.gpg

set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

SCRIPT_NAME=setup-emscripten
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

readonly MIN_VERSION=$EMSCRIPTEN_MIN
readonly DONOR=trixie
readonly RECIPE=1   # raise when the layout under PREFIX changes: forces a rebuild
# The machine's own mirror: the first archive among apt's sources that ends in /debian.
readonly MIRROR=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 -E '/debian/?$' || true)}
readonly KEYRING=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

usage() { sed -n '3,/^$/{s/^# \{0,1\}//;p}' "$0" >&2; exit "$1"; }

# ---------------------------------------------------------------- arguments --
PREFIX='' FULL=0
for arg in "$@"; do
  case $arg in
    -h|--help) usage 0 ;;
    --full)    FULL=1 ;;
    -*)        say "unknown option $arg"; usage 2 ;;
    *)         [ -z "$PREFIX" ] || usage 2; PREFIX=$arg ;;
  esac
done
[ -n "$PREFIX" ] || usage 2
case $PREFIX in *[[:space:]]*) die "PREFIX must not contain white space: '$PREFIX'" ;; esac

# ------------------------------------------------------------------ helpers --
# Version of an emcc: "emcc (...) 3.1.69 (hash)" -> 3.1.69
emcc_version() {
  "$1" --version 2>/dev/null | sed -n '1s/.*) \([0-9][0-9.]*\).*/\1/p'
}

# The two lines that callers read. $1: folder of emcc, $2: emscripten's folder.
report() {
  local root=${2:-}
  [ -n "$root" ] || root=$("$1/em-config" EMSCRIPTEN_ROOT 2>/dev/null) || root=''
  printf 'EMSCRIPTEN_BIN=%s\nEMSCRIPTEN_ROOT=%s\n' "$1" "$root"
}

apt_candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p'; }

# ------------------------------------------------ 1. an emcc is there already --
if have emcc; then
  v=$(emcc_version emcc || true)
  if [ -n "$v" ] && { printf '%s\n' "$MIN_VERSION" "$v" | sort -CV; }; then
    say "emcc $v is on PATH already ($(command -v emcc)): nothing to do"
    report "$(dirname "$(command -v emcc)")"
    exit 0
  fi
  say "the emcc on PATH ($(command -v emcc)) is ${v:-of unknown version}, older than $MIN_VERSION: not used"
fi

for t in apt-get apt-cache dpkg dpkg-deb dpkg-query; do
  have "$t" || die "$t is missing: this needs a Debian machine, or an emcc >= $MIN_VERSION on PATH"
done

# -------------------------------------------------- 2. the machine's own apt --
cand=$(apt_candidate emscripten)
if [ -n "$cand" ] && [ "$cand" != '(none)' ] && dpkg --compare-versions "$cand" ge "$MIN_VERSION"; then
  say "apt offers emscripten $cand"
  apt_install emscripten
  report /usr/bin
  exit 0
fi

# ------------------------------------------------------------- 3. Debian 12 --
# shellcheck source=/dev/null
os=$(. /etc/os-release 2>/dev/null && printf '%s-%s' "${ID:-}" "${VERSION_ID:-}")
[ "$os" = debian-12 ] || die "no emscripten >= $MIN_VERSION for this system ($os): on PATH: none, by apt: ${cand:-none}.
  Debian 12 and 13 are supported; if this is Debian 13, run apt-get update first"

mkdir -p "$PREFIX" 2>/dev/null || die "cannot create $PREFIX"
PREFIX=$(cd "$PREFIX" && pwd -P)
[ -w "$PREFIX" ] || [ -e "$PREFIX/.setup-emscripten" ] || die "$PREFIX is not writable"
readonly EM_ROOT=$PREFIX/usr/share/emscripten
readonly STAMP=$PREFIX/.setup-emscripten.done WANT="recipe=$RECIPE full=$FULL"

ready() { # a finished tree (a full one also serves who asks for the small one)
  case $(cat "$STAMP" 2>/dev/null) in "$WANT"|"recipe=$RECIPE full=1") ;; *) return 1 ;; esac
  [ -x "/usr/bin/clang-$LLVM" ] && [ -x "/usr/bin/wasm-ld-$LLVM" ] && [ -x "/usr/bin/llvm-ar-$LLVM" ] &&
    have node && have python3 && "$PREFIX/binaryen/bin/wasm-opt" --version >/dev/null 2>&1 &&
    [ -x "$PREFIX/bin/emcc" ] && [ -s "$EM_ROOT/emscripten-version.txt" ]
}
if ready; then
  say "emcc $(tr -d '"' < "$EM_ROOT/emscripten-version.txt") is set up in $PREFIX already: nothing to do"
  report "$PREFIX/bin" "$EM_ROOT"
  exit 0
fi

# Only an empty folder, or one that this script made, is written to.
if [ ! -e "$PREFIX/.setup-emscripten" ]; then
  [ -z "$(ls -A "$PREFIX")" ] || die "$PREFIX is not empty and was not made by this script: name another folder"
  : > "$PREFIX/.setup-emscripten"
fi
[ -w "$PREFIX/.setup-emscripten" ] || die "$PREFIX is unfinished and not writable for $(id -un)"
exec 9>>"$PREFIX/.setup-emscripten"
flock -w 900 9 || die "another run holds $PREFIX"
if ready; then say "set up by another run meanwhile: $PREFIX"; report "$PREFIX/bin" "$EM_ROOT"; exit 0; fi

need_kb=$((FULL ? 2600000 : 1600000))
free_kb=$(df -Pk "$PREFIX" | awk 'NR==2{print $4}')
[ "$free_kb" -ge "$need_kb" ] || die "$PREFIX has $((free_kb / 1024)) MiB free, $((need_kb / 1024)) MiB are needed"

# Compiler, linker and archiver: bookworm's own packages. node and python3 run
# emscripten itself; one that is on PATH already is good, whoever installed it.
pkgs=("clang-$LLVM" "lld-$LLVM" "llvm-$LLVM")
have node    || pkgs+=(nodejs)
have python3 || pkgs+=(python3)
[ -e "$KEYRING" ] || pkgs+=(debian-archive-keyring)
apt_install "${pkgs[@]}"
NODE=$(command -v node) || die 'node not found'
NODE=$(readlink -f "$NODE")
[ "$("$NODE" -p 'process.versions.node.split(".")[0] >= 16')" = true ] || die "node $("$NODE" -v) is too old: 16 or newer is needed"
[ -e "$KEYRING" ] || die "Debian's keyring is missing: $KEYRING"

WORK=$PREFIX/.work STAGE=$PREFIX/.stage
trap 'rm -rf "$WORK" "$STAGE"' EXIT
rm -rf "$WORK" "$STAGE" "$STAMP"
mkdir -p "$WORK"/lists/partial "$WORK"/cache/archives/partial "$WORK"/debs "$STAGE"

# A private apt: own sources, own lists, own cache, and a package status that
# knows of nothing installed. The system's apt.conf.d (proxies and the like) is
# kept, but hooks that it sets for updates are not run.
: > "$WORK/status"
arch=$(dpkg --print-architecture)
cat > "$WORK/sources.list" <<EOF
deb [arch=$arch signed-by=$KEYRING target=Packages lang=none] $MIRROR $DONOR main
EOF
cat > "$WORK/apt.conf" <<EOF
Dir::State "$WORK";
Dir::State::Lists "$WORK/lists";
Dir::State::status "$WORK/status";
Dir::Cache "$WORK/cache";
Dir::Etc::SourceList "$WORK/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "3";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
# As root, apt downloads as user _apt: let it write where it must.
if is_root && id _apt >/dev/null 2>&1; then
  chown _apt "$WORK/lists/partial" "$WORK/cache/archives/partial" "$WORK/debs"
fi
papt() { apt-get -c "$WORK/apt.conf" -qq "$@"; }

[ -n "$MIRROR" ] || die "apt has no Debian mirror (run apt-get update, or set DEBIAN_MIRROR)"
say "reading $DONOR's package list from $MIRROR"
if ! papt update > "$WORK/update.log" 2>&1; then
  if grep -qE 'NO_PUBKEY|not signed|EXPKEYSIG' "$WORK/update.log" && is_root; then
    # An old keyring does not know trixie's keys: bookworm's updates have a new one.
    say "$DONOR's signature is not known to $KEYRING: upgrading debian-archive-keyring"
    { apt-get update -qq && apt-get install -y -qq --only-upgrade debian-archive-keyring; } >&2 || true
    papt update > "$WORK/update.log" 2>&1 || { cat "$WORK/update.log" >&2; die "cannot read or verify $DONOR at $MIRROR"; }
  else
    cat "$WORK/update.log" >&2
    die "cannot read or verify $DONOR's package list at $MIRROR (see above; DEBIAN_MIRROR names another mirror,
  and \`apt-get install debian-archive-keyring\` brings newer keys)"
  fi
fi

say "fetching emscripten, binaryen, acorn and the C/C++ libraries for binaryen (about 247 MB)"
( cd "$WORK/debs" && papt download emscripten binaryen node-acorn libc6 libstdc++6 libgcc-s1 >&2 ) ||
  die "download from $MIRROR failed"
deb() { local f=("$WORK/debs/$1"_*.deb); [ -f "${f[0]}" ] || die "$1 was not downloaded"; printf '%s' "${f[0]}"; }

v=$(dpkg-deb -f "$(deb emscripten)" Version)
dpkg --compare-versions "$v" ge "$MIN_VERSION" || die "$DONOR's emscripten is $v, older than $MIN_VERSION"
dpkg-deb -f "$(deb emscripten)" Depends | grep -qw "clang-$LLVM" ||
  die "$DONOR's emscripten $v is not made for clang-$LLVM: this script needs an update"
for f in "$WORK"/debs/*.deb; do
  # shellcheck disable=SC2016
  dpkg-deb -W --showformat='${Package} ${Version} ${Architecture}\n' "$f"
done | sort > "$STAGE/versions.txt"

# unpack DEB FOLDER [tar options]
unpack() {
  local d=$1 to=$2; shift 2
  mkdir -p "$to"
  dpkg-deb --fsys-tarfile "$d" | tar -x -C "$to" --no-same-owner "$@" || die "cannot unpack $(basename "$d")"
}
say "unpacking $(basename "$(deb emscripten)")"
slim=(--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/lintian --exclude=./usr/share/python3)
if [ $FULL = 0 ]; then
  sys=./usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten
  slim+=("--exclude=$sys/pic" "--exclude=$sys/lto-pic" --exclude=./usr/share/emscripten/test)
fi
unpack "$(deb emscripten)" "$STAGE" "${slim[@]}"
rm -rf "${STAGE:?}/usr/bin"        # Debian's launchers: they point to /usr/share

# The JavaScript parser that emscripten imports.
unpack "$(deb node-acorn)" "$STAGE" ./usr/share/nodejs/acorn
mkdir -p "$STAGE/usr/share/emscripten/node_modules"
ln -s ../../nodejs/acorn "$STAGE/usr/share/emscripten/node_modules/acorn"

# binaryen and the libraries it runs with.
unpack "$(deb binaryen)" "$WORK/b"
for p in libc6 libstdc++6 libgcc-s1; do unpack "$(deb $p)" "$WORK/b"; done
B=$STAGE/binaryen
mkdir -p "$B/bin" "$B/libexec" "$B/lib"
mv "$WORK"/b/usr/bin/wasm* "$B/libexec/"
triplet=$(basename "$(dirname "$(find "$WORK/b/usr/lib" -name libc.so.6 -print -quit)")")
for l in libbinaryen.so libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libstdc++.so.6 libgcc_s.so.1; do
  cp -L "$WORK/b/usr/lib/$triplet/$l" "$B/lib/$l" || die "binaryen's library $l is missing"
done
ld=$(find "$WORK/b/usr/lib/$triplet" -maxdepth 1 -name 'ld-linux*.so.*' -print -quit)
[ -n "$ld" ] || die "no dynamic loader in $DONOR's libc6"
cp -L "$ld" "$B/lib/ld.so"; chmod 755 "$B/lib/ld.so"
cat > "$B/bin/.run" <<'EOF'
#!/bin/sh
# Runs a binaryen program with the dynamic loader and libraries unpacked beside it.
self=$(readlink -f "${0%/*}")
root=${self%/bin}
exec "$root/lib/ld.so" --inhibit-cache --library-path "$root/lib" --argv0 "$root/bin/${0##*/}" \
  "$root/libexec/${0##*/}" "$@"
EOF
chmod 755 "$B/bin/.run"
for t in "$B"/libexec/*; do ln -s .run "$B/bin/$(basename "$t")"; done
"$B/bin/wasm-opt" --version >/dev/null || die 'binaryen does not run here (see above)'

# The configuration, where emcc looks for it by itself, so that it also holds
# when CMake's toolchain file calls emcc directly. Paths are relative to it:
# the tree may be moved.
cat > "$STAGE/usr/share/emscripten/.emscripten" <<EOF
# Written by setup-emscripten.sh. emcc sets EM_CONFIG to this file's name.
import os, shutil
_emscripten = os.path.dirname(os.path.abspath(os.environ['EM_CONFIG']))
_prefix = os.path.normpath(os.path.join(_emscripten, '../../..'))
LLVM_ROOT = '/usr/bin'
LLVM_ADD_VERSION = '$LLVM'
CLANG_ADD_VERSION = '$LLVM'
BINARYEN_ROOT = os.path.join(_prefix, 'binaryen')
NODE_JS = '$NODE'
CACHE = os.path.join(_emscripten, 'cache')
# The package brings the system libraries built; nothing is built into the cache.
FROZEN_CACHE = True
# For --closure 1: npm's google-closure-compiler, if it is on PATH (Debian's
# package breaks emscripten's own look-up).
CLOSURE_COMPILER = shutil.which('google-closure-compiler')
EOF

# PREFIX/bin: one launcher under many names.
mkdir -p "$STAGE/bin"
cat > "$STAGE/bin/.run" <<'EOF'
#!/bin/sh
# Runs the emscripten tool of this name with the configuration of this tree.
self=$(readlink -f "${0%/*}")
root=${self%/bin}/usr/share/emscripten
EM_CONFIG=$root/.emscripten
export EM_CONFIG
exec "$root/${0##*/}" "$@"
EOF
chmod 755 "$STAGE/bin/.run"
for t in "$STAGE"/usr/share/emscripten/em*; do
  if [ -x "$t" ] && [ -f "$t" ] && [ "${t%.py}" = "$t" ]; then ln -s .run "$STAGE/bin/$(basename "$t")"; fi
done
cat > "$STAGE/env.sh" <<EOF
# Source this file: puts emcc and its friends, and binaryen's tools, on PATH.
export PATH="$PREFIX/bin:$PREFIX/binaryen/bin:\$PATH"
export EMSCRIPTEN_ROOT="$PREFIX/usr/share/emscripten"
EOF

for d in usr binaryen bin env.sh versions.txt; do
  rm -rf "${PREFIX:?}/$d"
  mv "$STAGE/$d" "$PREFIX/$d"
done

# ---------------------------------------------------------------- self-test --
say 'self-test: C++23, threads, SIMD, exceptions, ES module, run in node'
T=$WORK/selftest; mkdir -p "$T"
cat > "$T/t.cpp" <<'EOF'
#include <wasm_simd128.h>
#include <expected>
#include <format>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
static std::expected<int, std::string> half(int n) {
  if (n % 2) return std::unexpected(std::format("{} is odd", n));
  return n / 2;
}
int main() {
  std::vector<int> v(100000);
  std::iota(v.begin(), v.end(), 0);
  long long part[2] = {};
  {
    std::vector<std::thread> ts;   // std::jthread would need -fexperimental-library
    for (int t = 0; t < 2; ++t)
      ts.emplace_back([&, t] { for (size_t i = t; i < v.size(); i += 2) part[t] += v[i]; });
    for (auto& t : ts) t.join();
  }
  v128_t s = wasm_i32x4_add(wasm_i32x4_splat(40), wasm_i32x4_splat(2));
  std::string caught;
  try { throw std::runtime_error("thrown"); } catch (const std::exception& e) { caught = e.what(); }
  std::cout << std::format("{} {} {} {} {}\n", part[0] + part[1], *half(84), half(3).error(),
                           wasm_i32x4_extract_lane(s, 1), caught);
}
EOF
printf "import f from './t.mjs';\nawait f();\n" > "$T/run.mjs"
( cd "$T" && "$PREFIX/bin/em++" -std=c++23 -O1 -pthread -msimd128 -fwasm-exceptions \
    -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker,node -sPTHREAD_POOL_SIZE=2 -sEXIT_RUNTIME \
    t.cpp -o t.mjs >&2 ) || die 'self-test: compiling failed (see above)'
got=$(cd "$T" && timeout 60 "$NODE" run.mjs) || die "self-test: the program failed in node $("$NODE" -v): $got"
[ "$got" = '4999950000 42 3 is odd 42 thrown' ] || die "self-test: wrong output: $got"

printf '%s\n' "$WANT" > "$STAMP"
say "done: emcc $(emcc_version "$PREFIX/bin/emcc") in $PREFIX ($(du -sm --exclude=.work "$PREFIX" | cut -f1) MB); source $PREFIX/env.sh to use it"
report "$PREFIX/bin" "$EM_ROOT"
