# Object libraries: quern_core, quern_import, quern_formats, quern_cpu. Their objects are linked directly, never
# through archives, so tables and exported functions can't be left out; unused code still is.

# What nearly every file includes. A change to one of these headers compiles everything anyway.
set(QUERN_COMMON_HEADERS
  <algorithm> <cmath> <cstdint> <cstring> <expected> <functional> <map> <memory> <optional> <span>
  <string> <string_view> <unordered_map> <variant> <vector>
  "${CMAKE_SOURCE_DIR}/src/base/result.h" "${CMAKE_SOURCE_DIR}/src/ops/op_def.h")

# A target that compiles with Quern's flags, after the generated files.
function(quern_flavour target)
  target_link_libraries(${target} PRIVATE quern_flags)
  target_compile_options(${target} PRIVATE ${ARGN})
  if(QUERN_PCH)
    target_precompile_headers(${target} PRIVATE ${QUERN_COMMON_HEADERS})
    # Without a time stamp in it, the same headers give the same file, for ccache.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  add_dependencies(${target} quern_generated)
endfunction()

set(_no_exceptions -fno-exceptions -fno-rtti)

add_library(quern_core OBJECT ${QUERN_CORE_SOURCES} ${QUERN_GENERATED_CORE})
quern_flavour(quern_core ${_no_exceptions})
set(QUERN_OBJECTS quern_core)

# protozero throws; importers catch in the same file. Without RTTI too: the compiler makes what a
# catch needs.
if(QUERN_IMPORT_SOURCES)
  add_library(quern_import OBJECT ${QUERN_IMPORT_SOURCES})
  if(EMSCRIPTEN)
    quern_flavour(quern_import -fwasm-exceptions -fno-rtti)
  else()
    quern_flavour(quern_import -fexceptions -fno-rtti)
  endif()
  list(APPEND QUERN_OBJECTS quern_import)
endif()

# Importers of other formats than ONNX: in native programs, and for the web in quern-formats alone.
if(QUERN_FORMATS_SOURCES)
  add_library(quern_formats OBJECT EXCLUDE_FROM_ALL ${QUERN_FORMATS_SOURCES})
  quern_flavour(quern_formats ${_no_exceptions})
  if(NOT EMSCRIPTEN)
    list(APPEND QUERN_OBJECTS quern_formats)
  endif()
endif()

if(QUERN_CPU AND (QUERN_CPU_SOURCES OR QUERN_GENERATED_CPU))
  add_library(quern_cpu OBJECT ${QUERN_CPU_SOURCES} ${QUERN_GENERATED_CPU})
  # Kernels are too slow to test without optimisation.
  quern_flavour(quern_cpu ${_no_exceptions} $<$<CONFIG:Debug>:-O2>)
  target_compile_definitions(quern_cpu PRIVATE HWY_COMPILE_ONLY_STATIC)
  # Without a target Highway emulates vectors, 100 times slower. Natively Quern is only tested.
  if(NOT EMSCRIPTEN AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(QUERN_X86_ARCH "x86-64-v3" CACHE STRING "Native CPU kernels: -march; empty for a generic one")
    if(QUERN_X86_ARCH)
      target_compile_options(quern_cpu PRIVATE "-march=${QUERN_X86_ARCH}")
      # Highway takes AES for a part of AVX2, the architecture level does not have it.
      target_compile_definitions(quern_cpu PRIVATE HWY_DISABLE_PCLMUL_AES)
    endif()
  endif()
  list(APPEND QUERN_OBJECTS quern_cpu)
endif()

# quern_link(TARGET): everything into one program.
function(quern_link target)
  target_link_libraries(${target} PRIVATE quern_flags ${QUERN_OBJECTS})
endfunction()
