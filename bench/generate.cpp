// How long generation takes for frames after a prompt of text tokens, greedily, in float32: bench_generate
// FOLDER PROMPT_TOKENS FRAMES. Prints one JSON line, as bench/baseline/hf_generate.py does for transformers.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "higgs/base/freed_memory.h"
#include "higgs/model/generate.h"
#include "higgs/model/special_ids.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_generate FOLDER PROMPT_TOKENS FRAMES\n");
    return 2;
  }
  higgs::keep_freed_memory();
  higgs::HiggsModel model(argv[1], at::kFloat, at::kCPU);
  const higgs::SpecialIds ids = higgs::special_ids(model.config());
  higgs::EncodedSample prompt;
  for (int i = 0; i < std::atoi(argv[2]); ++i) prompt.input_ids.push_back(100 + i);
  higgs::SamplingOptions greedy;
  greedy.greedy = true;
  higgs::generate(model, prompt, ids, greedy, 10);
  const auto begin = std::chrono::steady_clock::now();
  const higgs::GeneratedClip clip =
      higgs::generate(model, prompt, ids, greedy, std::atoi(argv[3]) - ids.num_codebooks - 1);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"seconds\": %.4f, \"frames\": %lld}\n", took.count(),
              static_cast<long long>(clip.columns.cols));
}
