# The target `quern_generated`: C++ files that tools/generate.mjs writes into gen/generated/.
#   wgsl_files.{h,cc}   the text of every src/**/*.wgsl
#   op_registry.cc      the table of all operators, once src/ops/op_def.h is there
#   cpu_registry.cc     the table of all CPU kernels, once src/cpu/cpu_kernel.h is there
# QUERN_GENERATED_CORE and QUERN_GENERATED_CPU list the .cc files.
find_program(QUERN_NODE node REQUIRED NO_CMAKE_FIND_ROOT_PATH)

# quern_generate(KIND OUT SOURCES...)
function(quern_generate kind out)
  # The list is rewritten only where it differs, so a removed file is noticed too.
  set(list_file "${CMAKE_BINARY_DIR}/gen/${kind}.list")
  list(JOIN ARGN "\n" lines)
  file(CONFIGURE OUTPUT "${list_file}" CONTENT "${lines}\n" @ONLY)
  set(outputs "${out}")
  if(kind STREQUAL "wgsl")
    string(REGEX REPLACE "\\.cc$" ".h" header "${out}")
    list(APPEND outputs "${header}")
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND "${QUERN_NODE}" "${CMAKE_SOURCE_DIR}/tools/generate.mjs" ${kind} "${list_file}" "${out}"
    DEPENDS "${CMAKE_SOURCE_DIR}/tools/generate.mjs" "${list_file}" ${ARGN}
    COMMENT "Generating ${kind}"
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY QUERN_GENERATED_FILES ${outputs})
endfunction()

set(_gen "${CMAKE_BINARY_DIR}/gen/generated")
file(MAKE_DIRECTORY "${_gen}")
set(QUERN_GENERATED_CORE "${_gen}/wgsl_files.cc")
set(QUERN_GENERATED_CPU)
quern_generate(wgsl "${_gen}/wgsl_files.cc" ${QUERN_WGSL_SOURCES})
if(QUERN_OP_DEF_HEADER)
  list(APPEND QUERN_GENERATED_CORE "${_gen}/op_registry.cc")
  quern_generate(ops "${_gen}/op_registry.cc" ${QUERN_OP_SOURCES})
endif()
if(QUERN_CPU AND QUERN_CPU_KERNEL_HEADER)
  list(APPEND QUERN_GENERATED_CPU "${_gen}/cpu_registry.cc")
  quern_generate(cpu "${_gen}/cpu_registry.cc" ${QUERN_CPU_KERNEL_SOURCES})
endif()
unset(_gen)

get_property(_files GLOBAL PROPERTY QUERN_GENERATED_FILES)
add_custom_target(quern_generated DEPENDS ${_files})
unset(_files)
