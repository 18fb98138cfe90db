// The 24 kHz audio tokenizer ("codec"): waveform -> codes (acoustic encoder + HuBERT branch + residual vector
// quantizer), and codes -> waveform. Inference only.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>

#include "higgs/base/file.h"
#include "higgs/codec/codes.h"
#include "higgs/codec/frames.h"

namespace higgs {

// Intermediate values of one encode(), for inspection; shapes as in goldens (no batch dimension).
struct CodecFeatures {
  at::Tensor wave24;    // [n24] float, the input
  at::Tensor wave16;    // [n16] float, before the 160 + 160 zeros
  at::Tensor semantic;  // [T, hubert width] float: mean of the hidden states, every 2nd frame
  at::Tensor
      acoustic;  // [acoustic width, T] float: acoustic encoder's output (of the second pass if there was one)
  at::Tensor margin;  // [8, T] float: second-best minus best squared distance
  // What stands between them.
  std::vector<at::Tensor> hidden_states;  // each [HuBERT frames, hubert width]
  at::Tensor encoded_semantic;  // [semantic width, T']: what the semantic encoder makes of `semantic`
  at::Tensor first_acoustic;  // [acoustic width, T'] without zeros around the clip; undefined unless the rule
                              // is kBoson and there was a second pass
  at::Tensor joint;           // [T, width]: what is quantized
};

class AudioTokenizer {
 public:
  // `folder` in the HF layout (config.json + model.safetensors) or the boson layout (config.json +
  // model.pth), which decides the rule until set_rule(). UserError for what is missing, unexpected or of the
  // wrong shape, naming it.
  explicit AudioTokenizer(const fs::path& folder, at::Device device = at::kCPU);
  ~AudioTokenizer();

  int sample_rate() const;             // 24000
  std::int64_t hop_length() const;     // samples per frame: 960
  std::int64_t num_codebooks() const;  // 8
  std::int64_t codebook_size() const;  // 1024
  // Frames of a clip of that many samples; 0 when it is too short.
  std::int64_t num_frames(std::int64_t num_samples) const;
  // Hash of everything that decides the codes of a clip: weights, configuration, rule. Part of the cache key.
  const std::string& fingerprint() const;
  CodecRule rule() const;
  void set_rule(CodecRule rule);

  // Mono samples at sample_rate() -> codes. UserError when the clip is too short, naming the minimum; `where`
  // begins the message. `features`, when given, receives the intermediate values.
  Codes encode(std::span<const float> samples, const std::string& where,
               CodecFeatures* features = nullptr) const;
  // Samples at sample_rate(): num_frames * hop_length() of them, not clipped.
  std::vector<float> decode(const Codes& codes) const;
  // So many frames on either side of one are all that its samples depend on.
  std::int64_t decoding_context() const;
  // What codes stand for, and decode() begins with: the sum of the codebooks' vectors (each through its
  // projection), frame by frame. float [T, width], on the CPU.
  at::Tensor latents(const Codes& codes) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace higgs
