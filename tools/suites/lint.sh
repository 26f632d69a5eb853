# Formatting, static checks, types. clang-tidy sees only files that changed since HEAD~1.
# shellcheck shell=bash
need_npm

# Names the files alone: ./dev fmt mends them.
clang_format() {
  local bad
  bad=$(cpp_files | xargs -0 -r "clang-format-$LLVM" --dry-run 2>&1 | sed -n 's/:[0-9].*warning:.*//p' |
    sort -u)
  [ -z "$bad" ] || printf '%s: not formatted (./dev fmt)\n' $bad
  [ -z "$bad" ]
}

# changed_cpp: the changed .cc files under src/, and those named like changed headers.
changed_cpp() {
  {
    if git rev-parse --verify --quiet HEAD~1 >/dev/null; then
      git diff --name-only --diff-filter=d HEAD~1 -- src
    else
      git ls-files -- src
    fi
    git ls-files --others --exclude-standard -- src
  } | sed -n -e 's/\.h$/.cc/' -e '/\.cc$/p' | sort -u |
    while IFS= read -r f; do [ ! -f "$f" ] || echo "$f"; done
}

clang_tidy() {
  local files
  files=$(changed_cpp)
  if [ -z "$files" ]; then return 0; fi
  cmake_build debug quern_generated || return
  xargs -r node tools/clang-tidy.mjs "$LLVM" <<<"$files"
}

check 'check-includes' node tools/check-includes.mjs
check 'check-files' node tools/check-files.mjs
check 'clang-format' clang_format
check 'prettier' npx prettier --check --log-level=warn --ignore-unknown .
check 'eslint' npx eslint --no-warn-ignored --pass-on-no-patterns .
for project in . runtime app; do
  if [ -f "$project/tsconfig.json" ]; then check "tsc -p $project" npx tsc --noEmit -p "$project"; fi
done
check 'clang-tidy' clang_tidy
