# cmake -DFILE=MODULE.js -P ForBundlers.cmake
# Makes of Emscripten's script what bundlers can read.
file(READ "${FILE}" _text)
# Threads are started by the runtime (startThread in runtime/src/wasm.ts). A script that names itself
# as a worker is a circle, in which Turbopack waits for itself.
set(_started "Module[\"startThread\"]&&!ENVIRONMENT_IS_NODE?Module[\"startThread\"](_scriptName)")
string(REGEX REPLACE "new Worker\\(new URL\\([^()]*import\\.meta\\.url\\) *, *workerOptions\\)"
       "(${_started}:new Worker(new URL(_scriptName),workerOptions))" _text "${_text}")
# The script of threads awaits an import at its top level, which service workers refuse.
string(REPLACE "(await import('worker_threads'))"
       "globalThis.process.getBuiltinModule('worker_threads')" _text "${_text}")
# What Node alone imports, bundlers for pages would look for in vain.
string(REPLACE "import(\"module\")"
       "import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ String(\"module\"))"
       _text "${_text}")
file(WRITE "${FILE}" "${_text}")
