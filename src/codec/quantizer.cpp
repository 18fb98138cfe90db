#include "quantizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>

#include "higgs/base/error.h"

namespace higgs::codec {
namespace {

// Minus the squared distances [frames, codebook size] of rows to codebook entries. The reference's
// expression, term by term, so that near-ties round the same way.
at::Tensor negative_distances(const at::Tensor& x, const at::Tensor& codebook) {
  const at::Tensor entries = codebook.t();
  const at::Tensor lengths = x.pow(2).sum(1, /*keepdim=*/true);
  return -(lengths - at::matmul(2 * x, entries) + entries.pow(2).sum(0, /*keepdim=*/true));
}

// In double: the expression cancels, and a margin is a small difference.
at::Tensor margins(const at::Tensor& x, const at::Tensor& codebook) {
  const at::Tensor best =
      std::get<0>(negative_distances(x.to(at::kDouble), codebook.to(at::kDouble)).topk(2));
  return (best.select(1, 0) - best.select(1, 1)).to(at::kFloat);
}

}  // namespace

ResidualQuantizer::ResidualQuantizer(WeightMap& weights, const std::string& prefix,
                                     std::int64_t num_quantizers, std::int64_t codebook_size,
                                     std::int64_t width) {
  for (std::int64_t i = 0; i < num_quantizers; ++i) {
    const std::string name = prefix + ".quantizers." + std::to_string(i);
    Stage stage;
    stage.codebook = weights.take(name + ".codebook.embed", {codebook_size, kAny});
    stage.project_in = weights.take_linear(name + ".project_in", width, stage.codebook.size(1));
    stage.project_out = weights.take_linear(name + ".project_out", stage.codebook.size(1), width);
    const std::string inited = name + ".codebook.inited";
    if (weights.take(inited, {1}).item<float>() == 0.0f) {
      throw UserError(weights.where() + ": " + weights.called(inited) +
                      " is 0: this codebook was never trained");
    }
    stages_.push_back(std::move(stage));
  }
}

at::Tensor ResidualQuantizer::Stage::nearest(const at::Tensor& x) const {
  return std::get<1>(negative_distances(x, codebook).max(/*dim=*/-1));
}

at::Tensor ResidualQuantizer::Stage::lookup(const at::Tensor& codes) const {
  return project_out(at::embedding(codebook, codes.unsqueeze(0))).permute({0, 2, 1});
}

at::Tensor ResidualQuantizer::encode(const at::Tensor& embedding, at::Tensor* margin) const {
  at::Tensor residual = embedding;
  std::vector<at::Tensor> codes;
  std::vector<at::Tensor> all_margins;
  for (const Stage& stage : stages_) {
    const at::Tensor x = stage.project_in(residual.permute({0, 2, 1})).squeeze(0);
    codes.push_back(stage.nearest(x));
    if (margin != nullptr) all_margins.push_back(margins(x, stage.codebook));
    residual = residual - stage.lookup(codes.back());
  }
  if (margin != nullptr) *margin = at::stack(all_margins);
  return at::stack(codes);
}

at::Tensor ResidualQuantizer::decode(const at::Tensor& codes) const {
  at::Tensor sum = stages_.front().lookup(codes.select(0, 0));
  for (std::int64_t i = 1; i < codes.size(0); ++i) {
    sum = sum + stages_[static_cast<std::size_t>(i)].lookup(codes.select(0, i));
  }
  return sum;
}

}  // namespace higgs::codec
