# The WebAssembly module QUERN_MODULE: one ES module and one .wasm, copied to runtime/wasm/.
# Its exports are the functions marked QUERN_EXPORT in src/api (used, default visibility).

if(NOT QUERN_MODULE)
  message(FATAL_ERROR "QUERN_MODULE names no module: configure with one of the wasm presets")
endif()

file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/gen/module.cc"
     CONTENT "// Keeps the module linking while src/api is empty.\n" @ONLY)
# quern_module(NAME): a module; the caller links the library's objects.
function(quern_module name)
  add_executable(${name} "${CMAKE_BINARY_DIR}/gen/module.cc")
  set_target_properties(${name} PROPERTIES
    LINK_DEPENDS "${CMAKE_SOURCE_DIR}/cmake/ForBundlers.cmake")
  target_link_options(${name} PRIVATE
    --no-entry
    -fwasm-exceptions
    -sMODULARIZE=1 -sEXPORT_ES6=1 -sENVIRONMENT=web,worker,node
    -sFILESYSTEM=0 -sWASM_BIGINT=1 -sSUPPORT_LONGJMP=0 -sASSERTIONS=0
    # Pages keep script-src 'self' 'wasm-unsafe-eval'.
    -sDYNAMIC_EXECUTION=0
    -sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=4GB -sSTACK_SIZE=1MB
    -sEXPORTED_RUNTIME_METHODS=HEAPU8,wasmMemory$<$<BOOL:${QUERN_THREADS}>:,PThread>
    -sINCOMING_MODULE_JS_API=locateFile,wasmBinary,instantiateWasm,print,printErr,onAbort
    # The oldest browsers with WebAssembly exceptions and SIMD.
    -sMIN_CHROME_VERSION=95 -sMIN_FIREFOX_VERSION=100 -sMIN_SAFARI_VERSION=160400
    -sMIN_NODE_VERSION=200000 -sTEXTDECODER=2)
  if(QUERN_CPU)
    target_link_options(${name} PRIVATE -sMALLOC=dlmalloc -sINITIAL_MEMORY=16MB)
  else()
    target_link_options(${name} PRIVATE -sMALLOC=emmalloc -sINITIAL_MEMORY=4MB)
  endif()
  if(QUERN_THREADS)
    # The runtime passes { threads: N } to the factory function.
    target_link_options(${name} PRIVATE
      "-sPTHREAD_POOL_SIZE=Module['threads']" -sPTHREAD_POOL_SIZE_STRICT=2 -Wno-pthreads-mem-growth)
  endif()
endfunction()

quern_module(${QUERN_MODULE})
quern_link(${QUERN_MODULE})

set(_files "$<TARGET_FILE_DIR:${QUERN_MODULE}>/${QUERN_MODULE}")
add_custom_command(TARGET ${QUERN_MODULE} POST_BUILD
  COMMAND ${CMAKE_COMMAND} "-DFILE=${_files}.js" -P
          "${CMAKE_SOURCE_DIR}/cmake/ForBundlers.cmake"
  COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_SOURCE_DIR}/runtime/wasm"
  COMMAND ${CMAKE_COMMAND} -E copy_if_different
          "${_files}.js" "${_files}.wasm" "${CMAKE_SOURCE_DIR}/runtime/wasm"
  VERBATIM)
unset(_files)

# The importers of other formats than ONNX, a module that pages load only for those. It takes what
# it uses of the core; the core's own exports are left out with src/api.
if(NOT QUERN_CPU)
  quern_module(quern-formats)
  target_link_libraries(quern-formats PRIVATE quern_flags quern_formats
    "$<FILTER:$<TARGET_OBJECTS:quern_core>,EXCLUDE,/src/api/|[.]pch$>"
    "$<FILTER:$<TARGET_OBJECTS:quern_import>,INCLUDE,/import/scan/>")
  add_dependencies(quern-formats quern_core quern_import)
  set(_files "$<TARGET_FILE_DIR:quern-formats>/quern-formats")
  add_custom_command(TARGET quern-formats POST_BUILD
    COMMAND ${CMAKE_COMMAND} "-DFILE=${_files}.js" -P
            "${CMAKE_SOURCE_DIR}/cmake/ForBundlers.cmake"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_SOURCE_DIR}/runtime/wasm"
    COMMAND ${CMAKE_COMMAND} -E copy_if_different
            "${_files}.js" "${_files}.wasm" "${CMAKE_SOURCE_DIR}/runtime/wasm"
    # Beside the module below too, which stands for quern-core alone.
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/trap"
    COMMAND ${CMAKE_COMMAND} -E copy_if_different
            "${_files}.js" "${_files}.wasm" "${CMAKE_BINARY_DIR}/trap"
    VERBATIM)
  unset(_files)
endif()

# A module for tests: it traps where a numeric operator is computed on the host, other than shape
# arithmetic (src/plan/walk.cc). It lies in build/<preset>/trap, under the name of the real one.
if(NOT QUERN_CPU)
  quern_module(quern-trap)
  add_library(quern_trap_walk OBJECT EXCLUDE_FROM_ALL "${CMAKE_SOURCE_DIR}/src/plan/walk.cc")
  quern_flavour(quern_trap_walk ${_no_exceptions})
  target_compile_definitions(quern_trap_walk PRIVATE QUERN_TRAP=1)
  target_link_libraries(quern-trap PRIVATE quern_flags quern_trap_walk)
  foreach(objects IN LISTS QUERN_OBJECTS)
    target_link_libraries(quern-trap PRIVATE
      "$<FILTER:$<TARGET_OBJECTS:${objects}>,EXCLUDE,/plan/walk[.]cc|[.]pch$>")
    add_dependencies(quern-trap ${objects})
  endforeach()
  set_target_properties(quern-trap PROPERTIES
    EXCLUDE_FROM_ALL ON
    OUTPUT_NAME ${QUERN_MODULE}
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/trap")
endif()
