# cmake -DFILE=MODULE.js -P ForBundlers.cmake
# Makes of Emscripten's script what bundlers can read.
file(READ "${FILE}" _text)
# Threads are started with `new Worker(new URL(...), workerOptions)`. Bundlers must know how to pack
# that worker before anything runs, so the options are put there themselves.
if(_text MATCHES "workerOptions *= *(\\{[^{}]*\\})")
  string(REGEX REPLACE "(import\\.meta\\.url\\) *, *)workerOptions\\)" "\\1${CMAKE_MATCH_1})"
         _text "${_text}")
endif()
# The script of threads awaits an import at its top level, which service workers refuse.
string(REPLACE "(await import('worker_threads'))"
       "globalThis.process.getBuiltinModule('worker_threads')" _text "${_text}")
# What Node alone imports, bundlers for pages would look for in vain.
string(REPLACE "import(\"module\")"
       "import(/* webpackIgnore: true */ /* @vite-ignore */ String(\"module\"))" _text "${_text}")
file(WRITE "${FILE}" "${_text}")
