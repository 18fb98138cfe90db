// Which device to compute on. LibTorch's CUDA half is opened only when there is a driver, so that a start
// without a GPU stays cheap.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace higgs {

// `name`: auto, cpu or cuda; auto takes a GPU when there is one. Of several GPUs a process takes the one of
// its `local_rank`; a process that sees one takes that. Must be called before any other torch call. UserError
// when cuda is asked for and there is none, or fewer than processes, saying why.
c10::Device open_device(const std::string& name, int local_rank = 0);

// True when this build has kernels for CUDA (nvcc was found).
bool has_cuda_kernels();

}  // namespace higgs
