#include "recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "higgs/base/error.h"

namespace higgs {
namespace {

using torch::autograd::variable_list;

class RecomputeNode : public torch::autograd::Node {
 public:
  RecomputeNode(at::Tensor x, std::function<at::Tensor(const at::Tensor&)> part)
      : x_(std::move(x)), part_(std::move(part)) {}

  variable_list apply(variable_list&& grad_outputs) override {
    HIGGS_ASSERT(x_.defined());  // no second pass over the same graph
    at::Tensor x = std::move(x_).detach();
    x.set_requires_grad(task_should_compute_output(0));
    {
      const at::AutoGradMode with_grad(true);
      const at::Tensor out = part_(x);
      torch::autograd::backward({out}, {grad_outputs[0]});  // adds to the leaves' own gradients
    }
    variable_list grads(num_outputs());
    grads[0] = x.grad();
    return grads;
  }

 private:
  at::Tensor x_;
  std::function<at::Tensor(const at::Tensor&)> part_;
};

}  // namespace

at::Tensor recomputed(const at::Tensor& x, const std::vector<at::Tensor>& parameters,
                      std::function<at::Tensor(const at::Tensor&)> part) {
  variable_list inputs = {x};
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  if (!torch::autograd::compute_requires_grad(inputs)) return part(x);
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    out = part(x);
  }
  const std::shared_ptr<RecomputeNode> node(new RecomputeNode(x, std::move(part)),
                                            torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(out, node);
  return out;
}

}  // namespace higgs
