// Residual vector quantization: each codebook codes what the ones before it left over.
#pragma once

#include "weights.h"

namespace higgs::codec {

class ResidualQuantizer {
 public:
  // `width` of the embedding. UserError for a codebook that was never initialised (`inited` is 0).
  ResidualQuantizer(WeightMap& weights, const std::string& prefix, std::int64_t num_quantizers,
                    std::int64_t codebook_size, std::int64_t width);
  std::int64_t num_quantizers() const { return static_cast<std::int64_t>(stages_.size()); }
  std::int64_t codebook_size() const { return stages_.front().codebook.size(0); }

  // [1, width, frames] -> int64 codes [quantizers, frames]. `margin`, when given, becomes the second-best
  // minus the best squared distance, float [quantizers, frames].
  at::Tensor encode(const at::Tensor& embedding, at::Tensor* margin) const;
  // int64 codes [quantizers, frames] -> [1, width, frames]
  at::Tensor decode(const at::Tensor& codes) const;

 private:
  struct Stage {
    Linear project_in, project_out;
    at::Tensor codebook;                               // [codebook size, codebook width]
    at::Tensor nearest(const at::Tensor& x) const;     // [frames, codebook width] -> [frames]
    at::Tensor lookup(const at::Tensor& codes) const;  // [frames] -> [1, width, frames]
  };
  std::vector<Stage> stages_;
};

}  // namespace higgs::codec
