# Imports LibTorch 2.11 from a `torch` Python package (or a libtorch folder) without find_package(Torch),
# which wants a CUDA toolkit whenever the wheel was built with CUDA.
#   TORCH_ROOT  folder that holds include/ and lib/; when not given, the torch package of the python3 on PATH
# Defines torch::c10, torch::cpu and, where libtorch_cuda.so exists, torch::c10_cuda and torch::cuda.
if(NOT TORCH_ROOT)
  if(DEFINED ENV{TORCH_ROOT})
    set(TORCH_ROOT "$ENV{TORCH_ROOT}")
  else()
    find_package(Python3 COMPONENTS Interpreter REQUIRED)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
endif()
if(NOT EXISTS "${TORCH_ROOT}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found (TORCH_ROOT='${TORCH_ROOT}'). Run scripts/build, which installs it, "
                      "or give -DTORCH_ROOT=<folder with include/ and lib/>.")
endif()
set(TORCH_ROOT "${TORCH_ROOT}" CACHE PATH "torch package or libtorch folder" FORCE)

file(READ "${TORCH_ROOT}/include/torch/headeronly/version.h" _torch_version_h)
string(REGEX MATCH "TORCH_VERSION_MAJOR ([0-9]+)" _ "${_torch_version_h}")
set(_torch_major "${CMAKE_MATCH_1}")
string(REGEX MATCH "TORCH_VERSION_MINOR ([0-9]+)" _ "${_torch_version_h}")
set(_torch_minor "${CMAKE_MATCH_1}")
if(NOT "${_torch_major}.${_torch_minor}" STREQUAL "2.11")
  message(FATAL_ERROR "LibTorch ${_torch_major}.${_torch_minor} at ${TORCH_ROOT}; higgs_train is built for 2.11.")
endif()
message(STATUS "LibTorch ${_torch_major}.${_torch_minor}: ${TORCH_ROOT}")

find_package(Threads REQUIRED)
get_filename_component(TORCH_NVIDIA "${TORCH_ROOT}/../nvidia" ABSOLUTE)

add_library(torch::c10 SHARED IMPORTED)
set_target_properties(torch::c10 PROPERTIES IMPORTED_LOCATION "${TORCH_ROOT}/lib/libc10.so")
target_include_directories(torch::c10 SYSTEM INTERFACE
  "${TORCH_ROOT}/include" "${TORCH_ROOT}/include/torch/csrc/api/include")

add_library(torch::cpu SHARED IMPORTED)
set_target_properties(torch::cpu PROPERTIES IMPORTED_LOCATION "${TORCH_ROOT}/lib/libtorch_cpu.so")
target_link_libraries(torch::cpu INTERFACE torch::c10 Threads::Threads)
target_compile_definitions(torch::cpu INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)

set(HIGGS_RPATH "${TORCH_ROOT}/lib")
set(HIGGS_NCCL_INCLUDES "")  # for <nccl.h>; empty where LibTorch has no CUDA
if(EXISTS "${TORCH_ROOT}/lib/libtorch_cuda.so")
  find_path(CUDA_RUNTIME_INCLUDE cuda_runtime_api.h
    HINTS "${TORCH_NVIDIA}/cu13/include" ENV CUDA_HOME PATH_SUFFIXES include NO_DEFAULT_PATH)
  find_path(NCCL_INCLUDE nccl.h HINTS "${TORCH_NVIDIA}/nccl/include" NO_DEFAULT_PATH)
  add_library(torch::c10_cuda SHARED IMPORTED)
  set_target_properties(torch::c10_cuda PROPERTIES IMPORTED_LOCATION "${TORCH_ROOT}/lib/libc10_cuda.so")
  target_link_libraries(torch::c10_cuda INTERFACE torch::c10)
  add_library(torch::cuda SHARED IMPORTED)
  set_target_properties(torch::cuda PROPERTIES IMPORTED_LOCATION "${TORCH_ROOT}/lib/libtorch_cuda.so")
  target_link_libraries(torch::cuda INTERFACE torch::cpu torch::c10_cuda)
  target_include_directories(torch::cuda SYSTEM INTERFACE ${CUDA_RUNTIME_INCLUDE} ${NCCL_INCLUDE})
  target_compile_definitions(torch::cuda INTERFACE USE_C10D_NCCL)
  if(NCCL_INCLUDE AND CUDA_RUNTIME_INCLUDE)
    set(HIGGS_NCCL_INCLUDES "${NCCL_INCLUDE}" "${CUDA_RUNTIME_INCLUDE}")
  endif()
  list(APPEND HIGGS_RPATH "${TORCH_NVIDIA}/cu13/lib")  # libcudart of our own kernels
endif()

# The executable finds LibTorch and other libraries outside the system's folders (conda's) where they were found at build
# time, after `cmake --install` too; TORCH libraries find CUDA relative to themselves.
function(higgs_set_rpath target)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "${HIGGS_RPATH}" INSTALL_RPATH "${HIGGS_RPATH}"
    INSTALL_RPATH_USE_LINK_PATH TRUE)
endfunction()
