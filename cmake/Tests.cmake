# quern_tests: every src/**/*_test.cc, run from the root folder of the repository.

if(EMSCRIPTEN)
  # Debian ships GoogleTest's source for other compilers than its own.
  find_path(QUERN_GTEST_SOURCE src/gtest-all.cc PATHS /usr/src/googletest/googletest
            NO_CMAKE_FIND_ROOT_PATH)
  find_path(QUERN_GMOCK_SOURCE src/gmock-all.cc PATHS /usr/src/googletest/googlemock
            NO_CMAKE_FIND_ROOT_PATH)
  if(NOT QUERN_GTEST_SOURCE OR NOT QUERN_GMOCK_SOURCE)
    message(FATAL_ERROR "GoogleTest's source not found: install libgmock-dev, or run ./dev setup")
  endif()
  add_library(quern_gtest STATIC EXCLUDE_FROM_ALL
    "${QUERN_GTEST_SOURCE}/src/gtest-all.cc" "${QUERN_GMOCK_SOURCE}/src/gmock-all.cc"
    "${QUERN_GMOCK_SOURCE}/src/gmock_main.cc")
  target_include_directories(quern_gtest SYSTEM PUBLIC
    "${QUERN_GTEST_SOURCE}/include" "${QUERN_GMOCK_SOURCE}/include")
  target_include_directories(quern_gtest PRIVATE "${QUERN_GTEST_SOURCE}" "${QUERN_GMOCK_SOURCE}")
  target_compile_options(quern_gtest PRIVATE -fno-exceptions -w)
  target_compile_definitions(quern_gtest PUBLIC
    GTEST_HAS_EXCEPTIONS=0 $<$<NOT:$<BOOL:${QUERN_THREADS}>>:GTEST_HAS_PTHREAD=0>)
  set(_gtest quern_gtest)
else()
  find_package(GTest REQUIRED)
  set(_gtest GTest::gmock_main)
endif()

file(WRITE "${CMAKE_BINARY_DIR}/gen/no_tests.cc.new" "// Keeps quern_tests linking without tests.\n")
file(COPY_FILE "${CMAKE_BINARY_DIR}/gen/no_tests.cc.new" "${CMAKE_BINARY_DIR}/gen/no_tests.cc"
     ONLY_IF_DIFFERENT)
add_executable(quern_tests ${QUERN_TEST_SOURCES} "${CMAKE_BINARY_DIR}/gen/no_tests.cc")
quern_flavour(quern_tests -fno-rtti)
if(QUERN_PCH AND NOT EMSCRIPTEN)
  target_precompile_headers(quern_tests PRIVATE <gtest/gtest.h>)
endif()
quern_link(quern_tests)
target_link_libraries(quern_tests PRIVATE ${_gtest})
if(EMSCRIPTEN)
  # A program for Node; built only where asked for.
  set_target_properties(quern_tests PROPERTIES EXCLUDE_FROM_ALL ON SUFFIX .cjs)
  target_link_options(quern_tests PRIVATE
    -fwasm-exceptions -sENVIRONMENT=node -sNODERAWFS=1 -sEXIT_RUNTIME=1 -sALLOW_MEMORY_GROWTH=1
    -sMAXIMUM_MEMORY=4GB -sSTACK_SIZE=8MB -sASSERTIONS=1)
endif()
