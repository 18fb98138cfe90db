#include "kernel_cases.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <memory>

#include "higgs/kernels/dropout.h"
#include "higgs/kernels/layer_ops.h"
#include "higgs/kernels/nf4.h"
#include "higgs/kernels/snake.h"

namespace higgs {
namespace {

// N tokens, D model, F feed-forward, H heads of E values, K codes, V vocabulary, logits at a time
// (train/head_loss.h).
struct Sizes {
  std::int64_t N = 8192, D = 3072, F = 8192, H = 24, E = 128, C = 8, K = 1026, V = 128256, logits = 1 << 24;
  std::int64_t channels = 256, steps = 16000;  // of the codec's decoder
};

Sizes sizes(bool small) {
  if (!small) return {};
  return {64, 96, 160, 4, 16, 8, 130, 600, 1 << 14, 8, 500};
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text;
}

class Cases {
 public:
  Cases(at::Device device, at::ScalarType dtype, bool small)
      : size_(sizes(small)), device_(device), dtype_(dtype), width_(dtype == at::kBFloat16 ? 2.0 : 4.0) {}

  std::vector<KernelCase> all() {
    norms();
    rotary();
    feed_forward();
    residual();
    dropout_cases();
    cross_entropy("audio head", size_.K, size_.C);
    cross_entropy("text head", size_.V, 1);
    snake_case();
    nf4();
    return std::move(cases_);
  }

 private:
  at::Tensor random(at::IntArrayRef shape) const { return random(shape, dtype_); }
  at::Tensor random(at::IntArrayRef shape, at::ScalarType type) const {
    return at::randn(shape, at::TensorOptions(at::kFloat).device(device_)).to(type);
  }
  at::TensorOptions integers(at::ScalarType type) const { return at::TensorOptions(type).device(device_); }

  // `make()` -> one set of inputs; `use(set)` launches the kernel once.
  template <typename Make, typename Use>
  void add(const char* kernel, const char* what, at::IntArrayRef shape, double bytes, Make make, Use use) {
    const auto prepare = [make, use](int num_sets) {
      using Set = decltype(make());
      auto sets = std::make_shared<std::vector<Set>>();
      for (int i = 0; i < num_sets; ++i) sets->push_back(make());
      return KernelRun{num_sets, [sets, use](int i) { use((*sets)[static_cast<std::size_t>(i)]); }};
    };
    cases_.push_back({kernel, what, shape_text(shape), bytes, prepare});
  }

  struct NormSet {
    at::Tensor x, d_y, d_x, rstd;
    NormWeights weights;
  };

  void norms() {
    const std::int64_t N = size_.N, D = size_.D;
    const double values = static_cast<double>(N * D) * width_;
    const auto make = [this, N, D] {
      NormSet set{random({N, D}), random({N, D}), random({N, D}), {}, {}};
      set.weights = {random({D}), random({D}), at::rand({N, 1}, integers(at::kFloat)).gt(0.5), 1e-5};
      set.rstd = rms_norm(set.x, {}, set.weights).rstd;
      return set;
    };
    add("rms_norm", "forward", {N, D}, 2 * values, make, [](NormSet& s) { rms_norm(s.x, {}, s.weights); });
    add("rms_norm", "again, from rstd", {N, D}, 2 * values, make,
        [](NormSet& s) { rms_norm_again(s.x, {}, s.weights, s.rstd); });
    add("rms_norm_backward", "added to the residual's gradient", {N, D}, 4 * values, make,
        [](NormSet& s) { rms_norm_backward(s.d_y, s.x, {}, s.weights, s.rstd, s.d_x); });
  }

  void rotary() {
    struct Set {
      at::Tensor x, cos, sin;
    };
    const std::int64_t N = size_.N, H = size_.H, E = size_.E;
    const double bytes = static_cast<double>(2 * N * H * E + 2 * N * E) * width_;
    const auto make = [this, N, H, E] {
      const at::Tensor angle = at::rand({N, E / 2}, integers(at::kFloat)).repeat({1, 2});
      return Set{random({N, H, E}), angle.cos().to(dtype_), angle.sin().to(dtype_)};
    };
    add("rotary", "queries", {N, H, E}, bytes, make, [](Set& s) { rotate_(s.x, s.cos, s.sin, false); });
  }

  void feed_forward() {
    struct Set {
      at::Tensor d_out, gate, up;
    };
    const std::int64_t N = size_.N, F = size_.F;
    const double values = static_cast<double>(N * F) * width_;
    const auto make = [this, N, F] { return Set{random({N, F}), random({N, F}), random({N, F})}; };
    add("swiglu", "forward", {N, F}, 3 * values, make, [](Set& s) { swiglu(s.gate, s.up); });
    add("swiglu_backward", "both gradients", {N, F}, 5 * values, make,
        [](Set& s) { swiglu_backward(s.d_out, s.gate, s.up); });
  }

  void residual() {
    struct Set {
      at::Tensor x, y, rows;
    };
    const std::int64_t N = size_.N, D = size_.D;
    const auto make = [this, N, D] {
      return Set{random({N, D}), random({N / 2, D}), at::arange(0, N, 2, integers(at::kLong))};
    };
    const double values = static_cast<double>(N / 2 * D) * width_;
    add("add_rows", "every second row", {N / 2, D}, 3 * values, make,
        [](Set& s) { add_rows_(s.x, s.rows, s.y); });
  }

  void dropout_cases() {
    struct Set {
      at::Tensor x, sum;
      RowIndex rows;
    };
    const std::int64_t N = size_.N, D = size_.D;
    const auto make = [this, N, D] {
      return Set{random({N, D}, at::kFloat),
                 random({N, D}),
                 {at::zeros({N}, integers(at::kInt)), at::arange(N, integers(at::kInt))}};
    };
    const auto values = static_cast<double>(N * D);
    add("dropout", "float32", {N, D}, 8 * values, make, [](Set& s) { dropped(s.x, 0.05, 7, s.rows); });
    add("dropout", "added to a gradient", {N, D}, (4 + 2 * width_) * values, make,
        [](Set& s) { add_dropped_(s.sum, s.x, 0.05, 7, s.rows); });
  }

  void cross_entropy(const char* what, std::int64_t classes, std::int64_t groups) {
    struct Set {
      at::Tensor logits, targets, weights;
    };
    const std::int64_t rows = size_.logits / classes / groups * groups;
    const auto make = [this, rows, classes, groups] {
      return Set{random({rows, classes}), at::randint(classes, {rows}, integers(at::kLong)),
                 at::rand({groups}, integers(at::kFloat))};
    };
    add("cross_entropy", what, {rows, classes}, static_cast<double>(2 * rows * classes) * width_, make,
        [](Set& s) { cross_entropy_(s.logits, s.targets, s.weights); });
  }

  void snake_case() {
    struct Set {
      at::Tensor x, alpha, reciprocal;
    };
    const std::int64_t channels = size_.channels, steps = size_.steps;
    const auto make = [this, channels, steps] {
      const at::Tensor alpha = at::rand({1, channels, 1}, integers(at::kFloat)).add_(0.1);
      return Set{random({1, channels, steps}, at::kFloat), alpha, alpha.reciprocal()};
    };
    add("snake", "float32", {channels, steps}, static_cast<double>(8 * channels * steps), make,
        [](Set& s) { snake(s.x, s.alpha, s.reciprocal); });
  }

  void nf4() {
    struct Set {
      at::Tensor weight;
      Nf4 quantized;
    };
    const std::int64_t F = size_.F, D = size_.D;
    const auto make = [this, F, D] {
      Set set{random({F, D}), {}};
      set.quantized = quantize_nf4(set.weight);
      return set;
    };
    const double bytes = static_cast<double>(F * D) * (width_ + 0.5 + 4.0 / kNf4Block);
    add("quantize_nf4", "when a base is loaded", {F, D}, bytes, make, [](Set& s) { quantize_nf4(s.weight); });
    add("dequantize_nf4", "before each product", {F, D}, bytes, make,
        [this](Set& s) { dequantize_nf4(s.quantized, dtype_); });
  }

  Sizes size_;
  at::Device device_;
  at::ScalarType dtype_;
  double width_;  // bytes of a value
  std::vector<KernelCase> cases_;
};

}  // namespace

std::vector<KernelCase> kernel_cases(at::Device device, at::ScalarType dtype, bool small) {
  // The cases make their inputs later, each when its turn comes: what makes them must stay.
  const auto maker = std::make_shared<Cases>(device, dtype, small);
  std::vector<KernelCase> cases = maker->all();
  for (KernelCase& kernel : cases) {
    kernel.prepare = [maker, prepare = std::move(kernel.prepare)](int num_sets) { return prepare(num_sets); };
  }
  return cases;
}

CopyCase::CopyCase(at::Device device, std::int64_t num_bytes)
    : a_(at::randint(256, {num_bytes}, at::TensorOptions(at::kByte).device(device))), b_(a_.clone()) {}

double CopyCase::bytes() const {
  return 2.0 * static_cast<double>(a_.numel());
}

void CopyCase::run(int i) const {
  (i % 2 == 0 ? b_ : a_).copy_(i % 2 == 0 ? a_ : b_);
}

}  // namespace higgs
