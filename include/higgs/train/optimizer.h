// AdamW over the adapter's flat buffer, gradient clipping, and the learning rate's course.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "higgs/model/adapter.h"

namespace higgs {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
};

// Parameters that learn at a rate of their own: `factor` times the step's.
struct ParameterGroup {
  std::int64_t begin = 0, end = 0;  // in the flat buffer
  double factor = 1.0;
};

// Groups of the adapter's tensors: `rates` by module, with LoRA+ (Hayou et al. 2024) B's rate `lora_plus`
// times A's; a module trained whole has the rate itself. Neighbours of one factor are one group; together
// they are the whole buffer.
std::vector<ParameterGroup> parameter_groups(const Adapter& adapter, const std::vector<GroupValue>& rates,
                                             double lora_plus);

// Decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW: one fused pass over all
// parameters of one rate.
class AdamW {
 public:
  // values, grads: float32 [P], the same storage for the optimizer's life.
  // `groups`: none is one of them all.
  AdamW(at::Tensor values, at::Tensor grads, const AdamWOptions& options,
        const std::vector<ParameterGroup>& groups = {});

  // `found_inf`: float32 scalar beside the values, not 0 where nothing may move, the number of steps neither
  // (as torch's); undefined: all moves.
  void step(double learning_rate, const at::Tensor& found_inf = {});

  // State: first and second moments [P], and how many steps were taken.
  at::Tensor& first_moment() { return first_; }
  at::Tensor& second_moment() { return second_; }
  std::int64_t num_steps() const;
  void set_num_steps(std::int64_t steps);

 private:
  // Windows of the buffers that share a factor.
  struct Windows {
    double factor = 1.0;
    std::vector<at::Tensor> values, grads, first, second;
  };
  at::Tensor values_, grads_, first_, second_, step_;
  AdamWOptions options_;
  std::vector<Windows> windows_;
};

// Scales `grads` so that its 2-norm is at most `max_norm` (factor min(1, max_norm / (norm + 1e-6)), as
// torch); max_norm <= 0: no clipping. Returns the norm before, on the device.
at::Tensor clip_gradient(at::Tensor& grads, double max_norm);

enum class Schedule { kCosine, kLinear, kConstant };

// Linear warm-up over `warmup` steps, then half a cosine or a line to zero at `total`, or no change; `step`
// counts from 0 and the first step already learns: peak * (step + 1) / warmup.
double learning_rate(Schedule schedule, std::int64_t step, std::int64_t warmup, std::int64_t total,
                     double peak);

}  // namespace higgs
