# One static library per layer, one test program per layer.
add_library(higgs_warnings INTERFACE)
target_compile_options(higgs_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wnon-virtual-dtor>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wshadow=local -Wno-restrict>  # GCC 12 sees overlaps in std::string's operator+ that aren't there
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${HIGGS_WERROR}>>:-Werror>)

# higgs_layer(name DEPS targets... [SOURCES files...]): src/name/*.cpp (and *.cu where nvcc is), or only the SOURCES
# named there, -> higgs::name
function(higgs_layer name)
  cmake_parse_arguments(ARG "" "" "DEPS;SOURCES" ${ARGN})
  if(ARG_SOURCES)
    list(TRANSFORM ARG_SOURCES PREPEND "${CMAKE_SOURCE_DIR}/src/${name}/" OUTPUT_VARIABLE sources)
  else()
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.cpp")
  endif()
  if(HIGGS_HAS_NVCC)
    file(GLOB cuda_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.cu")
  endif()
  set(target layer_${name})
  if(sources)
    add_library(${target} STATIC ${sources} ${cuda_sources})
    target_include_directories(${target} PUBLIC "${CMAKE_SOURCE_DIR}/include")
    target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE higgs_warnings)
    if(cuda_sources)
      target_compile_definitions(${target} PRIVATE HIGGS_HAS_NVCC)
      # Only the runtime: LibTorch's own CUDA half is opened when a device is first asked for (kernels/device.h).
      target_link_libraries(${target} PUBLIC "${HIGGS_CUDART}")
    endif()
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${CMAKE_SOURCE_DIR}/include")
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
  endif()
  add_library(higgs::${name} ALIAS ${target})
endfunction()

# higgs_test(layer): tests/layer/*_test.cpp -> ctest "layer"
function(higgs_test layer)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${layer}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${layer} ${sources})
  target_link_libraries(test_${layer} PRIVATE higgs::${layer} higgs_test_support higgs_warnings)
  higgs_set_rpath(test_${layer})
  if(layer STREQUAL app)
    add_dependencies(test_app higgs_train)  # it starts the program
  endif()
  add_test(NAME ${layer} COMMAND test_${layer})
  set_tests_properties(${layer} PROPERTIES
    ENVIRONMENT "HIGGS_SOURCE_DIR=${CMAKE_SOURCE_DIR};HIGGS_BINARY=$<TARGET_FILE:higgs_train>;OMP_NUM_THREADS=2")
endfunction()
