// Which device to compute on. LibTorch's CUDA half is opened only when there is a driver, so that a start
// without a GPU stays cheap.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace higgs {

// `name`: auto, cpu or cuda; auto takes the first GPU when there is one. Must be called before any other
// torch call. UserError when cuda is asked for and there is none, saying why.
c10::Device open_device(const std::string& name);

// True when this build has kernels for CUDA (nvcc was found).
bool has_cuda_kernels();

}  // namespace higgs
