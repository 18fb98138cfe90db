// How long the audio tokenizer takes to encode clips of noise: bench_codec FOLDER SECONDS CLIPS. Prints one
// JSON line, as bench/baseline/hf_codec.py does for transformers' codec.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "higgs/base/freed_memory.h"
#include "higgs/codec/audio_tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_codec FOLDER SECONDS CLIPS\n");
    return 2;
  }
  higgs::keep_freed_memory();
  const double seconds = std::atof(argv[2]);
  const int count = std::atoi(argv[3]);
  const higgs::AudioTokenizer codec(argv[1], at::kCPU);
  std::mt19937 random(1);
  std::normal_distribution<float> noise(0.0f, 0.1f);
  std::vector<std::vector<float>> clips(static_cast<std::size_t>(count));
  for (auto& clip : clips) {
    clip.resize(static_cast<std::size_t>(seconds * codec.sample_rate()));
    for (float& sample : clip) sample = noise(random);
  }
  codec.encode(clips.front(), "");
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& clip : clips) codec.encode(clip, "");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"seconds\": %.4f, \"audio_seconds\": %.4f}\n", took.count(), seconds * count);
}
