#include "higgs/model/agreement.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr double kExactDifference = 1e-4;  // of the largest logit: the same sums in another order

// In bf16 every activation is rounded to 8 bits, and packed and cached attention round differently. Measured
// on random models with 28 layers: root mean square 1.5, 1.7, 2.8 %, largest 7.5, 7.5, 13 % of the logits'
// standard deviation at D 256, 1024, 3072, 96 % of the most likely codes equal (the others are near ties).
// These bounds stand clear of that and below what a wrong position, mask or cache entry gives; finer faults
// are what the exact comparison is for.
constexpr double kRoundedRms = 0.05;      // of the logits' standard deviation
constexpr double kRoundedLargest = 0.25;  // likewise
constexpr double kRoundedEqualArgmax = 0.85;

// Rows of the sample that is compared: those before `first_step` are the prompt.
struct Window {
  std::int64_t begin, first_compared, first_step, end;
};

Window choose_window(const PackedBatch& batch, std::int64_t max_positions) {
  const at::Tensor host = batch.audio_out_rows.to(at::kCPU);
  const std::int64_t first_frame =
      host.numel() > 0 ? host.const_data_ptr<std::int64_t>()[0] : std::numeric_limits<std::int64_t>::max();
  std::size_t sample = 0;
  while (first_frame != std::numeric_limits<std::int64_t>::max() &&
         batch.cu_seqlens[sample + 1] <= first_frame) {
    ++sample;
  }
  Window window{batch.cu_seqlens[sample], 0, 0, batch.cu_seqlens[sample + 1]};
  // Without a clip the last rows are stepped through; a prompt has a row at least.
  window.first_step = std::min(first_frame, std::max(window.end - max_positions / 2, window.begin + 1));
  window.first_step = std::max(window.first_step, window.begin + 1);
  window.end = std::min(window.end, window.first_step + max_positions / 2);
  window.first_compared = std::max(window.begin, window.end - max_positions);
  return window;
}

// Hidden states of rows [first_compared, end) as generation computes them.
at::Tensor cached_hidden(HiggsModel& model, const PackedBatch& batch, const Window& window, bool wide) {
  std::vector<KvCache> caches = model.make_caches(window.end - window.begin, wide);
  ForwardOptions options;
  options.wide = wide;
  options.caches = &caches;
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    return model.forward(slice_rows(batch, begin, end), options);
  };
  std::vector<at::Tensor> rows = {
      run(window.begin, window.first_step).slice(0, window.first_compared - window.begin)};
  for (std::int64_t row = window.first_step; row < window.end; ++row) rows.push_back(run(row, row + 1));
  return at::cat(rows);
}

// Logits in float32, whatever the model's dtype: bf16 would round the largest to steps of 3 % of their
// standard deviation, more than the difference looked for. hidden: [n, D], head: [V, D]; -> [n, V]
at::Tensor logits_fp32(const at::Tensor& hidden, const at::Tensor& head) {
  constexpr std::int64_t kRowsAtATime = 8192;  // of the head: a whole one in float32 may be 1.5 GB
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : head.split(kRowsAtATime)) {
    parts.push_back(at::linear(hidden.to(at::kFloat), part.to(at::kFloat)));
  }
  return at::cat(parts, 1);
}

// Logits of both, of `choices` choices a row.
HeadAgreement compare(const at::Tensor& packed, const at::Tensor& cached, const at::Tensor& head,
                      std::int64_t choices) {
  HeadAgreement result;
  if (packed.numel() == 0) return result;
  const at::Tensor a = logits_fp32(packed, head).view({packed.size(0) * choices, -1});
  const at::Tensor b = logits_fp32(cached, head).view({packed.size(0) * choices, -1});
  result.num_choices = a.size(0);
  result.largest_difference = (a - b).abs().max().item<double>();
  result.rms_difference = (a - b).square().mean().sqrt().item<double>();
  result.largest_logit = a.abs().max().item<double>();
  result.standard_deviation = a.std().item<double>();
  result.equal_argmax = a.argmax(-1).eq(b.argmax(-1)).to(at::kFloat).mean().item<double>();
  return result;
}

// Written so that a NaN anywhere is a failure.
bool within(const HeadAgreement& head, bool exact) {
  if (head.num_choices == 0) return true;
  if (exact) return head.largest_difference <= kExactDifference * head.largest_logit;
  return head.rms_difference <= kRoundedRms * head.standard_deviation &&
         head.largest_difference <= kRoundedLargest * head.standard_deviation &&
         head.equal_argmax >= kRoundedEqualArgmax;
}

}  // namespace

bool Agreement::holds() const {
  return within(text, exact) && within(audio, exact);
}

std::string Agreement::summary() const {
  std::string line = std::to_string(num_positions) + " positions" + (exact ? " in fp32" : " in bf16");
  const auto add = [&](const char* name, const HeadAgreement& head) {
    if (head.num_choices == 0) return;
    char text[200];
    std::snprintf(
        text, sizeof text,
        "; %s logits differ by at most %.2g, root mean square %.2g (largest %.3g, standard deviation "
        "%.3g), %.4g %% of the most likely ids equal",
        name, head.largest_difference, head.rms_difference, head.largest_logit, head.standard_deviation,
        100.0 * head.equal_argmax);
    line += text;
  };
  add("text", text);
  add("audio", audio);
  return line;
}

Agreement compare_forwards(HiggsModel& model, const PackedBatch& batch, bool wide,
                           std::int64_t max_positions) {
  HIGGS_ASSERT(max_positions >= 2 && batch.num_samples() > 0);
  const at::NoGradGuard no_grad;
  const Window window = choose_window(batch, max_positions);
  ForwardOptions options;
  options.wide = wide;
  const at::Tensor packed = model.forward(batch, options).slice(0, window.first_compared, window.end);
  const at::Tensor cached = cached_hidden(model, batch, window, wide);
  Agreement result;
  result.exact = wide || model.dtype() == at::kFloat;
  result.num_positions = packed.size(0);
  const PackedBatch rows = slice_rows(batch, window.first_compared, window.end);
  const auto both = [&](const at::Tensor& which, const at::Tensor& head, std::int64_t choices) {
    return compare(packed.index_select(0, which), cached.index_select(0, which), head, choices);
  };
  if (model.has_text_head()) result.text = both(rows.text_rows, model.text_head(), 1);
  result.audio = both(rows.audio_out_rows, model.audio_head(), model.config().num_codebooks);
  return result;
}

}  // namespace higgs
