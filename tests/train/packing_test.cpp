// Packing any samples, in any order, changes no sample's loss: random samples in random groups.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "support/train_case.h"

namespace higgs {
namespace {

using test::close;
using test::golden;

// Equal but for the order in which a matrix product over more rows adds up float32 numbers (its blocks depend
// on the number of rows): 6e-8 is one rounding.
const test::Tolerance kSameLoss{1e-6, "float32: another order of sums for another number of rows"};

class Packing : public ::testing::Test {
 protected:
  Packing()
      : model(golden("hf/model"), at::kFloat, at::kCPU),
        adapter(model, golden("hf/adapter_lora")),
        ids(special_ids(model.config(), *load_tokenizer(golden("hf/model")))) {
    at::set_num_threads(1);
  }

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  }

  void add_text(EncodedSample& sample, bool supervised) {
    for (std::int64_t i = between(1, 12); i > 0; --i) {
      sample.input_ids.push_back(between(0, 1700));  // below every special id
      sample.label_ids->push_back(supervised ? sample.input_ids.back() : kIgnore);
    }
  }

  void add_clip(EncodedSample& sample, std::int64_t placeholder, bool supervised) {
    sample.input_ids.push_back(placeholder);
    sample.label_ids->push_back(supervised ? placeholder : kIgnore);
    Codes codes{ids.num_codebooks, between(1, 14), {}};
    for (std::int64_t i = codes.num_codebooks * codes.num_frames; i > 0; --i) {
      codes.values.push_back(static_cast<std::int16_t>(between(0, ids.codebook_size - 1)));
    }
    sample.codes.push_back(std::move(codes));
  }

  // Turns of text, references (audio in, or audio out that isn't supervised) and spoken answers; every third
  // sample is text only.
  EncodedSample random_sample(std::size_t index) {
    EncodedSample sample;
    sample.label_ids.emplace();
    for (std::int64_t turn = between(1, 4); turn > 0; --turn) {
      add_text(sample, false);
      if (index % 3 == 0) {
        add_text(sample, true);
        continue;
      }
      if (between(0, 1) == 1) add_clip(sample, ids.audio_in, false);
      if (between(0, 2) == 2) add_clip(sample, ids.audio_out, false);
      add_clip(sample, ids.audio_out, true);
      add_text(sample, between(0, 1) == 1);
    }
    add_text(sample, true);
    return sample;
  }

  struct SampleLoss {
    double text = 0;
    at::Tensor audio;  // [C]
  };

  // The losses of each sample of a batch: the objective on the batch's hidden states, with the others'
  // targets taken out.
  std::vector<SampleLoss> losses(const PackedBatch& batch) {
    const at::Tensor hidden = model.forward(batch);
    std::vector<SampleLoss> found;
    for (std::int64_t i = 0; i < batch.num_samples(); ++i) {
      const std::int64_t begin = batch.cu_seqlens[static_cast<std::size_t>(i)];
      const std::int64_t end = batch.cu_seqlens[static_cast<std::size_t>(i) + 1];
      const auto own = [&](const at::Tensor& rows) {
        return rows.ge(begin).logical_and(rows.lt(end)).nonzero().squeeze(1);
      };
      PackedBatch part = batch;
      const at::Tensor text = own(batch.text_target_rows), audio = own(batch.audio_target_rows);
      part.text_target_rows = batch.text_target_rows.index_select(0, text);
      part.text_targets = batch.text_targets.index_select(0, text);
      part.num_text_targets = text.numel();
      part.audio_target_rows = batch.audio_target_rows.index_select(0, audio);
      part.audio_targets = batch.audio_targets.index_select(0, audio);
      const LossSums sums = loss_sums(model, part, hidden, true);
      found.push_back({sums.text.item<double>(), sums.audio.detach()});
    }
    return found;
  }

  void expect_same(const SampleLoss& packed, const SampleLoss& alone, const std::string& which) {
    EXPECT_TRUE(close(packed.text, alone.text, kSameLoss, "text" + which));
    for (std::int64_t k = 0; k < alone.audio.numel(); ++k) {
      const double mine = packed.audio[k].item<double>(), own = alone.audio[k].item<double>();
      if (own == 0.0) {
        EXPECT_EQ(mine, 0.0);
      } else {
        EXPECT_TRUE(close(mine, own, kSameLoss, "codebook " + std::to_string(k) + which));
      }
    }
  }

  std::mt19937_64 random{20240601};
  HiggsModel model;
  Adapter adapter;
  SpecialIds ids;
};

TEST_F(Packing, AnySamplesInAnyOrderKeepTheirLosses) {
  std::vector<EncodedSample> samples;
  std::vector<SampleLoss> alone;
  for (std::size_t i = 0; i < 15; ++i) {
    samples.push_back(random_sample(i));
    alone.push_back(losses(test::batch_of(samples, {i}, ids)).at(0));
    EXPECT_GT(alone.back().text, 0.0);
    EXPECT_EQ(alone.back().audio.sum().item<double>() > 0, i % 3 != 0);
  }
  std::size_t compared = 0;
  for (int round = 0; round < 12; ++round) {
    std::vector<std::size_t> order(samples.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::shuffle(order, random);
    for (std::size_t first = 0; first < order.size();) {
      const auto size = static_cast<std::size_t>(between(1, 6));
      const std::size_t last = std::min(order.size(), first + size);
      const std::vector<std::size_t> group(order.begin() + static_cast<std::ptrdiff_t>(first),
                                           order.begin() + static_cast<std::ptrdiff_t>(last));
      const std::vector<SampleLoss> packed = losses(test::batch_of(samples, group, ids));
      ASSERT_EQ(packed.size(), group.size());
      for (std::size_t i = 0; i < group.size(); ++i) {
        expect_same(packed[i], alone[group[i]],
                    " of sample " + std::to_string(group[i]) + ", round " + std::to_string(round));
        ++compared;
      }
      first = last;
    }
  }
  EXPECT_EQ(compared, 12u * 15u);
}

}  // namespace
}  // namespace higgs
