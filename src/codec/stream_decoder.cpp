#include "higgs/codec/stream_decoder.h"

#include <algorithm>

namespace higgs {

// Samples of the kept frames from the first that isn't decoded to `end`.
std::vector<float> StreamDecoder::decode(std::int64_t end) {
  if (end <= num_given_) return {};
  const std::vector<float> wave = codec_.decode(kept_);
  const std::int64_t hop = codec_.hop_length();
  std::vector<float> samples(wave.begin() + num_given_ * hop, wave.begin() + end * hop);
  num_given_ = end;
  return samples;
}

std::vector<float> StreamDecoder::push(const Codes& frames) {
  const std::int64_t context = codec_.decoding_context();
  append_frames(kept_, frames);
  std::vector<float> samples = decode(kept_.num_frames - context);
  const std::int64_t unneeded = std::max<std::int64_t>(0, num_given_ - context);
  kept_ = frames_of(kept_, unneeded, kept_.num_frames);
  num_given_ -= unneeded;
  return samples;
}

std::vector<float> StreamDecoder::finish() {
  std::vector<float> samples = decode(kept_.num_frames);
  kept_ = {};
  num_given_ = 0;
  return samples;
}

}  // namespace higgs
