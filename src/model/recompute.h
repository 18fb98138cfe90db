// Gradient checkpointing (Chen et al. 2016): a part of the model of which only the input is kept; the
// backward pass computes it again.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace higgs {

// part(x), whose gradient goes to x and to `parameters`, leaves that `part` uses. `part` must give the same
// result each time it is called, and what it refers to must outlive the graph.
at::Tensor recomputed(const at::Tensor& x, const std::vector<at::Tensor>& parameters,
                      std::function<at::Tensor(const at::Tensor&)> part);

}  // namespace higgs
