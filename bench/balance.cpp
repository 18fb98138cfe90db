// What sharing a step by tokens gains over dealing its samples out in order, and how fast one loader thread
// makes batches, over clips as an audiobook is cut into: 2 to 20 s long, log-normal around 7 s.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>
#include <vector>

#include "higgs/data/dataset.h"
#include "higgs/data/step_plan.h"

namespace higgs {
namespace {

constexpr std::size_t kNumSamples = 100000;
constexpr std::int64_t kNumSteps = 400;
constexpr double kMedianSeconds = 7.0, kSigma = 0.6, kShortest = 2.0, kLongest = 20.0;
constexpr double kSlowest = 2.5, kFastest = 4.0;  // text tokens in a second of speech
constexpr std::int64_t kPromptTokens = 40, kNumCodebooks = 8;

struct Utterance {
  std::int64_t text_tokens = 0, frames = 0;
  // The prompt, the text, and the frames with BOS, EOS and the delay's tail in place of their placeholder.
  std::int64_t length() const { return kPromptTokens + text_tokens + frames + kNumCodebooks + 1; }
};

std::vector<Utterance> draw_utterances(std::size_t count) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> duration(std::log(kMedianSeconds), kSigma);
  std::uniform_real_distribution<double> rate(kSlowest, kFastest);
  std::vector<Utterance> utterances;
  while (utterances.size() < count) {
    const double seconds = duration(random);
    if (seconds < kShortest || seconds > kLongest) continue;
    utterances.push_back({std::llround(seconds * rate(random)), std::llround(seconds * kFramesPerSecond)});
  }
  return utterances;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The value that `part` of all are not above.
template <typename Value>
Value quantile(std::vector<Value> values, double part) {
  std::sort(values.begin(), values.end());
  const double place = std::ceil(part * static_cast<double>(values.size())) - 1.0;
  return values[static_cast<std::size_t>(std::max(0.0, place))];
}

void print_balance(const std::vector<std::int64_t>& lengths) {
  std::printf("\nBusiest rank above the mean, %lld steps\n", static_cast<long long>(kNumSteps));
  std::printf("%6s %6s %6s | %9s %9s | %9s %9s | %s\n", "ranks", "batch", "accum", "in order", "95 %",
              "by tokens", "95 %", "in order takes longer by");
  for (const SplitOptions& split :
       {SplitOptions{2, 8, 8}, SplitOptions{2, 2, 64}, SplitOptions{2, 8, 64}, SplitOptions{1, 1, 8}}) {
    StepPlanner planner(lengths, /*seed=*/1, split, {0, kNumSteps});
    std::vector<double> dealt, shared;
    double dealt_time = 0.0, shared_time = 0.0;  // of the busiest rank, in tokens
    for (std::int64_t step = 0; step < kNumSteps; ++step) {
      const StepPlan before = planner.plan_in_order(step), after = planner.plan(step);
      dealt.push_back(100.0 * before.imbalance());
      shared.push_back(100.0 * after.imbalance());
      dealt_time += static_cast<double>(*std::max_element(before.tokens.begin(), before.tokens.end()));
      shared_time += static_cast<double>(*std::max_element(after.tokens.begin(), after.tokens.end()));
    }
    std::printf("%6lld %6lld %6lld | %7.2f %% %7.2f %% | %7.2f %% %7.2f %% | %.1f %%\n",
                static_cast<long long>(split.world_size), static_cast<long long>(split.batch_size),
                static_cast<long long>(split.grad_accum), mean(dealt), quantile(dealt, 0.95), mean(shared),
                quantile(shared, 0.95), 100.0 * (dealt_time / shared_time - 1.0));
  }
}

// Ten epochs packed under token budgets, as a run does before it starts.
void print_packing(const std::vector<std::int64_t>& lengths) {
  constexpr std::int64_t kEpochs = 10;
  const double tokens = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  std::printf("\n--tokens_per_batch\n%6s | %8s | %s\n", "tokens", "full", "CPU time for a million samples");
  for (const std::int64_t budget : {1024, 2048, 4096, 8192}) {
    const auto drawn = kEpochs * static_cast<std::int64_t>(lengths.size());
    const std::clock_t begin = std::clock();
    TokenPacker packer(lengths, /*seed=*/1, budget, {}, drawn);
    const double room = static_cast<double>(packer.num_bins() * budget);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%6lld | %6.2f %% | %.2f s\n", static_cast<long long>(budget),
                100.0 * kEpochs * tokens / room, seconds * 1e6 / static_cast<double>(drawn));
  }
}

SpecialIds special_ids() {
  SpecialIds ids;
  ids.audio_in = 128015;
  ids.audio_out = 128016;
  ids.pad = 128001;
  ids.stream_bos = 1024;
  ids.stream_eos = 1025;
  ids.num_codebooks = kNumCodebooks;
  ids.codebook_size = 1024;
  return ids;
}

EncodedSample sample_of(const Utterance& utterance, const SpecialIds& ids, std::mt19937_64& random) {
  EncodedSample sample;
  for (std::int64_t i = 0; i < kPromptTokens + utterance.text_tokens; ++i) {
    sample.input_ids.push_back(static_cast<std::int64_t>(random() % 128000));
  }
  sample.input_ids.push_back(ids.audio_out);
  sample.label_ids.emplace(sample.input_ids.size(), kIgnore);
  sample.label_ids->back() = ids.audio_out;  // the speech is what is learnt
  Codes codes{kNumCodebooks, utterance.frames, {}};
  for (std::int64_t i = 0; i < kNumCodebooks * utterance.frames; ++i) {
    codes.values.push_back(static_cast<std::int16_t>(random() % 1024));
  }
  sample.codes.push_back(std::move(codes));
  return sample;
}

void print_loader(const std::vector<Utterance>& utterances) {
  at::set_num_threads(1);
  const SpecialIds ids = special_ids();
  std::mt19937_64 random(2);
  std::vector<EncodedSample> samples;
  for (std::size_t i = 0; i < 1000; ++i) samples.push_back(sample_of(utterances[i], ids, random));
  std::printf("\nOne loader thread, collating and packing; per second of CPU time\n%6s | %11s %11s | %s\n",
              "batch", "batches/s", "tokens/s", "bytes a token, supervised");
  for (const std::size_t batch_size : {1, 2, 8}) {
    std::int64_t tokens = 0, batches = 0;
    std::int64_t targets = 0;
    std::size_t bytes = 0;
    const std::clock_t begin = std::clock();  // CPU time: others may use the machine
    double seconds = 0.0;
    for (std::size_t first = 0; seconds < 2.0; first = (first + batch_size) % samples.size()) {
      std::vector<const EncodedSample*> picked;
      for (std::size_t i = 0; i < batch_size; ++i) picked.push_back(&samples[(first + i) % samples.size()]);
      const PackedBatch batch = make_batch(picked, ids);
      tokens += batch.num_rows;
      targets += batch.audio_target_rows.numel();
      bytes += batch.num_bytes();
      ++batches;
      seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    }
    std::printf("%6zu | %11.0f %11.0f | %.0f, %.0f %%\n", batch_size, static_cast<double>(batches) / seconds,
                static_cast<double>(tokens) / seconds,
                static_cast<double>(bytes) / static_cast<double>(tokens),
                100.0 * static_cast<double>(targets) / static_cast<double>(tokens));
  }
}

void run() {
  const std::vector<Utterance> utterances = draw_utterances(kNumSamples);
  std::vector<std::int64_t> lengths;
  for (const Utterance& utterance : utterances) lengths.push_back(utterance.length());
  const std::vector<double> tokens(lengths.begin(), lengths.end());
  std::printf(
      "%zu clips of %.0f to %.0f s, log-normal (median %.0f s, sigma %.1f), %.0f frames and %.1f to %.1f "
      "text\n"
      "tokens a second, %lld tokens of prompt: %.0f tokens on average, 5 %% below %.0f, 5 %% above %.0f\n",
      kNumSamples, kShortest, kLongest, kMedianSeconds, kSigma, kFramesPerSecond, kSlowest, kFastest,
      static_cast<long long>(kPromptTokens), mean(tokens), quantile(tokens, 0.05), quantile(tokens, 0.95));
  print_balance(lengths);
  print_packing(lengths);
  print_loader(utterances);
}

}  // namespace
}  // namespace higgs

int main() {
  higgs::run();
}
