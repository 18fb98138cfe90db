// A frozen linear map with an optional low-rank adapter beside it (LoRA, Hu et al. 2021), as PEFT computes
// it:
//   y = W x + s * B(A(dropout(x)))
// and with a magnitude m for each output (DoRA, Liu et al. 2024):
//   y = W x + (m/n - 1) W dropout(x) + (m/n) s * B(A(dropout(x)))
// n is the 2-norm of each row of W + s B A, a constant to the gradient; without dropout that is m/n (W + s B
// A) x. W in the model's dtype; A, B, m, the dropout and the sum in float32, the result rounded to the
// model's dtype. Instead of staying frozen W may learn whole, as a head's does.
#pragma once

#include <torch/nn/module.h>

#include <string>

#include "higgs/kernels/dropout.h"
#include "higgs/model/frozen_weight.h"

namespace higgs {

// What a forward pass needs to know to drop values out; inactive when p is 0.
struct DropoutContext {
  double p = 0.0;
  std::uint64_t key = 0;           // of seed and optimizer step; each module mixes in its own name
  const RowIndex* rows = nullptr;  // of the rows given to forward()
};

class LoraLinear : public torch::nn::Module {
 public:
  LoraLinear(std::string path, FrozenWeight weight);

  // x: [N, in] -> [N, out], in x's dtype.
  at::Tensor forward(const at::Tensor& x, const DropoutContext& dropout);

  // Gives the module an adapter: a [r, in], b [out, r], with DoRA magnitude [out], float32 leaves; scaling =
  // alpha / r or alpha / sqrt(r).
  void attach(at::Tensor a, at::Tensor b, double scaling, at::Tensor magnitude = {});
  void detach_adapter();
  // While it isn't active the module computes as if it had none.
  void set_adapter_active(bool active) { active_ = active; }
  bool has_adapter() const { return active_ && a_.defined(); }

  // From now on W is `values`, a float32 leaf [out, in], rounded to the dtype it was loaded with, and learns;
  // undefined: as it was before. Not for what is kept in four bits.
  void train_weight(at::Tensor values);
  const at::Tensor& trained() const { return trained_; }  // undefined while frozen

  const std::string& path() const { return path_; }     // canonical: "layers.0.self_attn.q_proj"
  std::uint64_t path_key() const { return path_key_; }  // of it, for dropout
  // [out, in], without gradient; made anew where it is kept in four bits.
  at::Tensor weight() const;
  bool is_quantized() const { return weight_.is_quantized(); }
  const at::Tensor& a() const { return a_; }
  const at::Tensor& b() const { return b_; }
  const at::Tensor& magnitude() const { return magnitude_; }  // undefined without DoRA
  double scaling() const { return scaling_; }
  std::int64_t in_features() const { return weight_.in_features(); }
  std::int64_t out_features() const { return weight_.out_features(); }

 private:
  at::Tensor base(const at::Tensor& x) const;
  at::Tensor dora(const at::Tensor& y, const at::Tensor& input, const at::Tensor& low_rank, bool dropped);
  at::Tensor norm();

  std::string path_;
  std::uint64_t path_key_;
  FrozenWeight weight_;
  at::Tensor a_, b_, magnitude_;
  double scaling_ = 0.0;
  bool active_ = true;
  at::Tensor norm_;                // kept while nothing learns: generation asks for it at every frame
  std::int64_t norm_version_ = 0;  // of a and b when it was computed
  at::Tensor trained_;             // float32 leaf
  mutable at::Tensor rounded_;     // of trained_, kept while it stays
  mutable std::int64_t rounded_version_ = 0;
};

}  // namespace higgs
