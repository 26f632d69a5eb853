# Which file goes where, by place and name alone:
#   *_test.cc, *_testing.cc              tests, and helpers of tests
#   *_fuzz.cc                            a fuzzer each
#   src/cpu/**, src/ops/**/*_cpu.cc      CPU kernels (QUERN_CPU)
#   src/import/{onnx,scan}/**            the ONNX importer: the only code with C++ exceptions
#   other src/import/**, src/api/convert_abi.cc
#                                        importers of other formats: natively in every program, for
#                                        the web a module of their own
#   src/api/native_main.cc               the program quern_native
#   tools/cli/*.cc                       a native program each
#   every other src/**/*.cc              the core
#   src/**/*.wgsl                        embedded text
#   src/ops/GROUP/NAME.cc                defines op_NAME, unless GROUP is `common`
#   src/ops/GROUP/NAME_cpu.cc            defines cpu_NAME, likewise
# The lists follow the folders: a build sees a new or a removed file by itself.
file(GLOB_RECURSE _all CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/*.cc")
file(GLOB_RECURSE QUERN_WGSL_SOURCES CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/*.wgsl")
file(GLOB QUERN_CLI_SOURCES CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tools/cli/*.cc")
file(GLOB QUERN_OP_DEF_HEADER CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/ops/op_def.h")
file(GLOB QUERN_CPU_KERNEL_HEADER CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/cpu/cpu_kernel.h")

set(QUERN_CORE_SOURCES)
set(QUERN_IMPORT_SOURCES)
set(QUERN_FORMATS_SOURCES)
set(QUERN_CPU_SOURCES)
set(QUERN_TEST_SOURCES)
set(QUERN_FUZZ_SOURCES)
set(QUERN_NATIVE_MAIN)
set(QUERN_OP_SOURCES)          # those that define operators
set(QUERN_CPU_KERNEL_SOURCES)  # those that define CPU kernels of operators

foreach(file IN LISTS _all)
  cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${CMAKE_SOURCE_DIR}/src" OUTPUT_VARIABLE path)
  set(in_op_group FALSE)
  if(path MATCHES "^ops/([^/]+)/[^/]+$" AND NOT CMAKE_MATCH_1 STREQUAL "common")
    set(in_op_group TRUE)
  endif()

  if(EMSCRIPTEN AND path MATCHES "^import/.*_(test|testing)\\.cc$")
    # They read files from disk: native only.
  elseif(path MATCHES "_(test|testing)\\.cc$")
    list(APPEND QUERN_TEST_SOURCES "${file}")
  elseif(path MATCHES "_fuzz\\.cc$")
    list(APPEND QUERN_FUZZ_SOURCES "${file}")
  elseif(path STREQUAL "api/native_main.cc")
    set(QUERN_NATIVE_MAIN "${file}")
  elseif(path MATCHES "^cpu/" OR path MATCHES "^ops/.*_cpu\\.cc$")
    list(APPEND QUERN_CPU_SOURCES "${file}")
    if(in_op_group)
      list(APPEND QUERN_CPU_KERNEL_SOURCES "${file}")
    endif()
  elseif(path MATCHES "^import/(onnx|scan)/")
    list(APPEND QUERN_IMPORT_SOURCES "${file}")
  elseif(path MATCHES "^import/" OR path STREQUAL "api/convert_abi.cc")
    list(APPEND QUERN_FORMATS_SOURCES "${file}")
  else()
    list(APPEND QUERN_CORE_SOURCES "${file}")
    if(in_op_group)
      list(APPEND QUERN_OP_SOURCES "${file}")
    endif()
  endif()
endforeach()
unset(_all)
