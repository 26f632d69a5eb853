# The target `quern_flags` and compiler caching.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# ccache serves every checkout alike: paths below the source folder are hashed as relative ones.
find_program(QUERN_CCACHE ccache)
if(QUERN_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 CCACHE_COMPILERTYPE=clang
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${QUERN_CCACHE})
endif()

add_library(quern_flags INTERFACE)
target_include_directories(quern_flags INTERFACE
  "${CMAKE_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/gen")
target_compile_definitions(quern_flags INTERFACE
  $<$<BOOL:${QUERN_CPU}>:QUERN_CPU=1>
  $<$<BOOL:${QUERN_THREADS}>:QUERN_THREADS=1>
  JSON_NOEXCEPTION=1)
target_compile_options(quern_flags INTERFACE
  -Wall -Wextra -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Wno-missing-field-initializers
  $<$<BOOL:${QUERN_WERROR}>:-Werror>
  -fvisibility=hidden -fvisibility-inlines-hidden
  # The same rounding on every machine: no fused multiply-add unless the code asks for it.
  -ffp-contract=off
  # No path of this machine in what is built.
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")

if(QUERN_THREADS)
  target_compile_options(quern_flags INTERFACE -pthread)
  target_link_options(quern_flags INTERFACE -pthread)
endif()

if(EMSCRIPTEN)
  # Every browser with WebGPU, and Node 20, has these.
  target_compile_options(quern_flags INTERFACE -mbulk-memory -mnontrapping-fptoint)
else()
  target_compile_options(quern_flags INTERFACE -ffunction-sections -fdata-sections)
  target_link_options(quern_flags INTERFACE -fuse-ld=lld -Wl,--gc-sections)
  target_compile_definitions(quern_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
endif()

if(QUERN_SANITIZE)
  target_compile_options(quern_flags INTERFACE
    -fsanitize=${QUERN_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(quern_flags INTERFACE -fsanitize=${QUERN_SANITIZE})
endif()
if(QUERN_FUZZ)
  target_compile_options(quern_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Header-only libraries of the system. They are linked into a folder of their own, since a
# cross compiler must not see the rest of /usr/include.
set(QUERN_HEADERS_DIR "${CMAKE_BINARY_DIR}/third_party")
file(MAKE_DIRECTORY "${QUERN_HEADERS_DIR}")
function(quern_header_library folder probe package)
  find_path(QUERN_${folder}_INCLUDE "${folder}/${probe}"
            PATHS /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH)
  if(NOT QUERN_${folder}_INCLUDE)
    message(FATAL_ERROR "${folder}/${probe} not found: install ${package}, or run ./dev setup")
  endif()
  file(CREATE_LINK "${QUERN_${folder}_INCLUDE}/${folder}" "${QUERN_HEADERS_DIR}/${folder}" SYMBOLIC)
endfunction()
quern_header_library(protozero pbf_reader.hpp libprotozero-dev)
quern_header_library(nlohmann json.hpp nlohmann-json3-dev)
quern_header_library(hwy highway.h libhwy-dev)
target_include_directories(quern_flags SYSTEM INTERFACE "${QUERN_HEADERS_DIR}")
