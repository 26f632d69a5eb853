# cmake -DFILE=MODULE.js -P StaticWorkerOptions.cmake
# Emscripten starts threads with `new Worker(new URL(...), workerOptions)`. Bundlers must know how
# to pack that worker before anything runs, so the options are put there themselves.
file(READ "${FILE}" _text)
if(_text MATCHES "workerOptions *= *(\\{[^{}]*\\})")
  string(REGEX REPLACE "(import\\.meta\\.url\\) *, *)workerOptions\\)" "\\1${CMAKE_MATCH_1})"
         _text "${_text}")
  file(WRITE "${FILE}" "${_text}")
endif()
