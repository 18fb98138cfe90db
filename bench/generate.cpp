// How long generation takes for frames after a prompt of text tokens, greedily, in float32: bench_generate
// FOLDER PROMPT_TOKENS FRAMES. Prints one JSON line, as bench/baseline/hf_generate.py does for transformers.
// With a fourth argument, BATCH: so many clips one after the other and together, in turns, five times;
// sampled, with different prompts. Prints the medians and their ratio.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "higgs/base/freed_memory.h"
#include "higgs/model/generation_batch.h"
#include "higgs/model/special_ids.h"

namespace {

struct Task {
  int prompt_tokens, frames;
  higgs::SamplingOptions sampling;
};

higgs::EncodedSample prompt_of(const Task& task, int clip) {
  higgs::EncodedSample prompt;
  for (int i = 0; i < task.prompt_tokens; ++i) prompt.input_ids.push_back(100 + (i * (2 * clip + 1)) % 300);
  return prompt;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Columns a second of `count` clips, `size` at a time.
double speed(higgs::HiggsModel& model, const higgs::SpecialIds& ids, Task task, int count, std::size_t size) {
  const auto begin = std::chrono::steady_clock::now();
  higgs::GenerationBatch batch(model, ids, size);
  std::int64_t columns = 0;
  for (int next = 0; next < count || !batch.empty();) {
    for (; !batch.full() && next < count; ++next) {
      task.sampling.seed = static_cast<std::uint64_t>(next);
      batch.add(static_cast<std::size_t>(next), prompt_of(task, next), task.sampling, task.frames);
    }
    for (const auto& finished : batch.step()) columns += finished.clip.columns.cols;
  }
  return static_cast<double>(columns) / seconds_since(begin);
}

double median(std::array<double, 5> values) {
  std::sort(values.begin(), values.end());
  return values[2];
}

void compare(higgs::HiggsModel& model, const higgs::SpecialIds& ids, const Task& task, int batch) {
  std::array<double, 5> alone{}, together{};
  for (std::size_t i = 0; i < alone.size(); ++i) {
    alone[i] = speed(model, ids, task, batch, 1);
    together[i] = speed(model, ids, task, batch, static_cast<std::size_t>(batch));
  }
  std::printf("{\"batch\": %d, \"alone\": %.1f, \"together\": %.1f, \"ratio\": %.2f}\n", batch, median(alone),
              median(together), median(together) / median(alone));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: bench_generate FOLDER PROMPT_TOKENS FRAMES [BATCH]\n");
    return 2;
  }
  higgs::keep_freed_memory();
  higgs::HiggsModel model(argv[1], at::kFloat, at::kCPU);
  const higgs::SpecialIds ids = higgs::special_ids(model.config());
  Task task{std::atoi(argv[2]), std::atoi(argv[3]), {}};
  if (argc == 5) {
    compare(model, ids, task, std::atoi(argv[4]));
    return 0;
  }
  higgs::EncodedSample prompt;
  for (int i = 0; i < task.prompt_tokens; ++i) prompt.input_ids.push_back(100 + i);
  task.sampling.greedy = true;
  higgs::generate(model, prompt, ids, task.sampling, 10);
  const auto begin = std::chrono::steady_clock::now();
  const higgs::GeneratedClip clip =
      higgs::generate(model, prompt, ids, task.sampling, task.frames - ids.num_codebooks - 1);
  std::printf("{\"seconds\": %.4f, \"frames\": %lld}\n", seconds_since(begin),
              static_cast<long long>(clip.columns.cols));
}
