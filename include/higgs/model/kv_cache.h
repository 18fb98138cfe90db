// The key/value cache of one layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace higgs {

// Keys and values of the positions seen so far, one sequence: [capacity, G, E]. `length` of them are filled.
struct KvCache {
  at::Tensor keys, values;
  std::int64_t length = 0;
};

}  // namespace higgs
