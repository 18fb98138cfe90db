// The codec's tensors by name, handed out once each, so that what is missing, unexpected or of the wrong
// shape is noticed. Also the few building blocks every part is made of.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace higgs::codec {

inline constexpr std::int64_t kAny = -1;  // in a wanted shape: any size above 0

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
  at::Tensor operator()(const at::Tensor& x) const;
};

struct LayerNorm {
  at::Tensor weight;
  at::Tensor bias;
  double eps = 1e-5;
  at::Tensor operator()(const at::Tensor& x) const;
};

// The weights of a convolution; a weight norm is already merged, `bias` may be undefined.
struct Conv {
  at::Tensor weight;  // [out, in / groups, kernel]; transposed convolutions [in, out, kernel]
  at::Tensor bias;    // [out]
  std::int64_t kernel() const { return weight.size(2); }
};

enum class Bias { kNone, kRequired, kOptional };

class WeightMap {
 public:
  // `where` (the file) begins every message. Tensors are fp32 on the CPU; they move to `device` when taken.
  // `stored_names`: what the file calls them, when that is something else.
  WeightMap(std::string where, std::map<std::string, at::Tensor> tensors, at::Device device,
            std::map<std::string, std::string> stored_names = {});

  const std::string& where() const { return where_; }
  // What messages call a tensor: the name the file has for it.
  std::string called(const std::string& name) const;
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }

  // UserError when it is missing, of another shape, or holds a value that is not finite.
  at::Tensor take(const std::string& name, const std::vector<std::int64_t>& shape);
  Linear take_linear(const std::string& prefix, std::int64_t in, std::int64_t out);
  LayerNorm take_norm(const std::string& prefix, std::int64_t width, double eps);
  // `shape` of the weight as stored. A weight norm, over `norm_dim`, may be stored as weight_g/weight_v or as
  // parametrizations.weight.original0/1.
  Conv take_conv(const std::string& prefix, const std::vector<std::int64_t>& shape, Bias bias,
                 std::int64_t norm_dim = 0);
  // Stored [in, out, kernel], with a bias; the weight norm is over dim 0 all the same.
  Conv take_transposed_conv(const std::string& prefix, const std::vector<std::int64_t>& shape);
  // UserError when a tensor was never taken.
  void finish() const;

 private:
  at::Tensor take_weight(const std::string& prefix, const std::vector<std::int64_t>& shape,
                         std::int64_t norm_dim);
  at::Tensor take_on_cpu(const std::string& name, const std::vector<std::int64_t>& shape);

  std::string where_;
  std::map<std::string, at::Tensor> tensors_;
  at::Device device_;
  std::map<std::string, std::string> stored_names_;
};

}  // namespace higgs::codec
