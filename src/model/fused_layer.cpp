#include "fused_layer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "higgs/base/error.h"

namespace higgs {
namespace {

using torch::autograd::variable_list;

// The block's place in autograd's graph, with what its backward pass needs. Its inputs: h, then the adapters'
// parameters.
template <typename Block>
class BlockNode : public torch::autograd::Node {
 public:
  BlockNode(const Block& block, const at::Tensor& h) : block_(block), h_(h) {}

  typename Block::Saved& saved() { return saved_; }

  variable_list apply(variable_list&& grad_outputs) override {
    HIGGS_ASSERT(h_.defined());  // what was kept is gone: no second pass over the same graph
    // Let go piece by piece as it is used, not when the graph goes.
    const at::Tensor h = std::move(h_);
    typename Block::Saved saved = std::move(saved_);
    variable_list grads(1);
    grads[0] =
        block_.run_backward(grad_outputs[0].contiguous(), h, saved, task_should_compute_output(0), grads);
    return grads;
  }

 private:
  Block block_;
  at::Tensor h_;
  typename Block::Saved saved_;
};

template <typename Block>
at::Tensor apply(const Block& block, const at::Tensor& h) {
  variable_list inputs = {h};
  block.append_parameters(inputs);
  if (!torch::autograd::compute_requires_grad(inputs)) {
    typename Block::Saved not_kept;
    return block.run(h, not_kept);
  }
  std::shared_ptr<BlockNode<Block>> node(new BlockNode<Block>(block, h), torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    out = block.run(h, node->saved());
  }
  torch::autograd::set_history(out, node);
  return out;
}

at::Tensor taken(const at::Tensor& x, const Rows& rows) {
  return rows.defined() ? x.index_select(0, rows) : x;
}

// [L, D] -> [N, D], zero where no row is taken.
at::Tensor spread(const at::Tensor& x, const Rows& rows, std::int64_t num_rows) {
  return rows.defined() ? at::zeros({num_rows, x.size(1)}, x.options()).index_copy_(0, rows, x) : x;
}

struct AttentionBlock : FusedAttention {
  struct Saved {
    at::Tensor rstd, q, k, v;
    Attended attended;
    std::vector<at::Tensor> qkv_low_rank, o_low_rank;
  };

  void append_parameters(std::vector<at::Tensor>& out) const {
    qkv.append_parameters(out);
    o.append_parameters(out);
  }

  at::Tensor run(const at::Tensor& h, Saved& saved) const {
    const Normed normed = rms_norm(h, {}, norm);
    saved.rstd = normed.rstd;
    FusedLinears::Outputs projected = qkv.forward(normed.y, dropout);
    const auto heads = [&](std::size_t i, std::int64_t count) {
      return projected.y[i].view({h.size(0), count, head_dim});
    };
    saved.q = heads(0, num_heads);
    saved.k = heads(1, num_kv_heads);
    saved.v = heads(2, num_kv_heads);
    saved.qkv_low_rank = std::move(projected.low_rank);
    rotate_(saved.q, rope.cos, rope.sin, /*inverse=*/false);
    rotate_(saved.k, rope.cos, rope.sin, /*inverse=*/false);
    saved.attended = !caches.empty() ? attend_cached(saved.q, saved.k, saved.v, segments, caches)
                                     : attend_segments(saved.q, saved.k, saved.v, segments);
    FusedLinears::Outputs out = o.forward(taken(saved.attended.out.flatten(1), kept), kept_dropout);
    saved.o_low_rank = std::move(out.low_rank);
    add_rows_(out.y[0], {}, taken(h, kept));
    return out.y[0];
  }

  at::Tensor run_backward(const at::Tensor& d_out, const at::Tensor& h, Saved& saved, bool wanted,
                          variable_list& grads) const {
    const std::int64_t n = h.size(0);
    variable_list o_grads;
    const at::Tensor d_attended = spread(o.backward({d_out}, taken(saved.attended.out.flatten(1), kept),
                                                    saved.o_low_rank, kept_dropout, /*wanted=*/true, o_grads),
                                         kept, n);
    AttentionGradients d = attend_segments_backward(d_attended.view(saved.q.sizes()), saved.q, saved.k,
                                                    saved.v, saved.attended, segments);
    rotate_(d.q, rope.cos, rope.sin, /*inverse=*/true);
    rotate_(d.k, rope.cos, rope.sin, /*inverse=*/true);
    const at::Tensor x = rms_norm_again(h, {}, norm, saved.rstd);
    const at::Tensor d_x = qkv.backward({d.q.flatten(1), d.k.flatten(1), d.v.flatten(1)}, x,
                                        saved.qkv_low_rank, dropout, wanted, grads);
    grads.insert(grads.end(), o_grads.begin(), o_grads.end());
    if (!wanted) return {};
    at::Tensor d_h = kept.defined() ? spread(d_out, kept, n) : d_out.clone();
    rms_norm_backward(d_x, h, {}, norm, saved.rstd, d_h);
    return d_h;
  }
};

struct FfnBlock : FusedFfn {
  struct SavedPart {
    at::Tensor rstd, gate, up;
    std::vector<at::Tensor> gate_up_low_rank, down_low_rank;
  };
  using Saved = std::vector<SavedPart>;

  static bool is_empty(const Part& part) { return part.rows.defined() && part.rows.numel() == 0; }

  void append_parameters(std::vector<at::Tensor>& out) const {
    for (const Part& part : parts) {
      part.gate_up.append_parameters(out);
      part.down.append_parameters(out);
    }
  }

  at::Tensor run(const at::Tensor& h, Saved& saved) const {
    at::Tensor out = h.clone();
    for (const Part& part : parts) {
      SavedPart& kept = saved.emplace_back();
      if (is_empty(part)) continue;
      const Normed normed = rms_norm(h, part.rows, part.norm);
      kept.rstd = normed.rstd;
      FusedLinears::Outputs projected = part.gate_up.forward(normed.y, part.dropout);
      kept.gate = projected.y[0];
      kept.up = projected.y[1];
      kept.gate_up_low_rank = std::move(projected.low_rank);
      FusedLinears::Outputs down_projected = part.down.forward(swiglu(kept.gate, kept.up), part.dropout);
      kept.down_low_rank = std::move(down_projected.low_rank);
      add_rows_(out, part.rows, down_projected.y[0]);
    }
    return out;
  }

  at::Tensor run_backward(const at::Tensor& d_out, const at::Tensor& h, Saved& saved, bool wanted,
                          variable_list& grads) const {
    at::Tensor d_h = d_out.clone();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part& part = parts[i];
      if (is_empty(part)) {  // no gradient for its adapters
        std::vector<at::Tensor> parameters;
        part.gate_up.append_parameters(parameters);
        part.down.append_parameters(parameters);
        grads.resize(grads.size() + parameters.size());
        continue;
      }
      SavedPart kept = std::move(saved[i]);
      variable_list down_grads;
      at::Tensor d_inner = part.down.backward({taken(d_out, part.rows)}, swiglu(kept.gate, kept.up),
                                              kept.down_low_rank, part.dropout, /*wanted=*/true, down_grads);
      const SwigluGradients d = swiglu_backward(d_inner, kept.gate, kept.up);
      d_inner.reset();
      const at::Tensor x = rms_norm_again(h, part.rows, part.norm, kept.rstd);
      const at::Tensor d_x =
          part.gate_up.backward({d.gate, d.up}, x, kept.gate_up_low_rank, part.dropout, wanted, grads);
      grads.insert(grads.end(), down_grads.begin(), down_grads.end());
      if (wanted) rms_norm_backward(d_x, h, part.rows, part.norm, kept.rstd, d_h);
    }
    return wanted ? d_h : at::Tensor();
  }
};

}  // namespace

at::Tensor FusedAttention::forward(const at::Tensor& h) const {
  return apply(AttentionBlock{*this}, h);
}

at::Tensor FusedFfn::forward(const at::Tensor& h) const {
  return apply(FfnBlock{*this}, h);
}

}  // namespace higgs
