#include "higgs/codec/audio_tokenizer.h"

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>

#include "dac.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "hubert.h"
#include "layout.h"
#include "quantizer.h"
#include "semantic.h"

namespace higgs {
namespace {

using codec::CodecConfig;
using codec::WeightMap;

at::Tensor tensor_from(std::span<const float> samples) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(samples.size())}, at::kFloat);
  if (!samples.empty()) std::memcpy(tensor.data_ptr<float>(), samples.data(), samples.size_bytes());
  return tensor;
}

Codes codes_from(const at::Tensor& codes) {
  const at::Tensor stored = codes.to(at::kCPU, at::kShort).contiguous();
  const std::int16_t* values = stored.data_ptr<std::int16_t>();
  return {stored.size(0), stored.size(1), {values, values + stored.numel()}};
}

// Without the batch dimension, on the CPU.
at::Tensor plain(const at::Tensor& tensor) {
  return tensor.squeeze(0).contiguous().cpu();
}

std::string length_text(std::int64_t samples, int rate) {
  char text[64];
  std::snprintf(text, sizeof text, "%lld samples (%.4f s)", static_cast<long long>(samples),
                static_cast<double>(samples) / rate);
  return text;
}

}  // namespace

struct AudioTokenizer::Impl {
  Impl(const codec::CodecFiles& files, WeightMap& weights, at::Device where_it_runs)
      : config(files.config),
        device(where_it_runs),
        content_hash(files.hash),
        acoustic_encoder(weights, "acoustic_encoder", config.encoder_strides),
        acoustic_decoder(weights, "acoustic_decoder", config.decoder_strides),
        hubert(weights, "semantic_model", config.hubert),
        semantic_encoder(weights, "encoder_semantic", hubert.width(), config.semantic_strides,
                         config.semantic_dilations),
        fc(take_joint(weights, acoustic_encoder.width() + semantic_encoder.width())),
        fc2(weights.take_linear("fc2", fc.weight.size(0), acoustic_decoder.width())),
        quantizer(weights, "quantizer", config.num_quantizers, config.codebook_size, fc.weight.size(0)) {
    geometry.sample_rate = config.sample_rate;
    geometry.semantic_sample_rate = config.semantic_sample_rate;
    geometry.hop_length = config.hop_length();
    geometry.semantic_step = config.semantic_step();
    geometry.acoustic = acoustic_encoder.shapes();
    geometry.semantic = hubert.shapes();
    geometry.semantic_encoder = semantic_encoder.shapes();
  }

  static codec::Linear take_joint(WeightMap& weights, std::int64_t width) {
    return weights.take_linear("fc", width, codec::kAny);
  }
  void set_rule(CodecRule new_rule) {
    rule = new_rule;
    fingerprint = Hasher().update(content_hash).update(static_cast<std::uint64_t>(rule)).hex();
  }
  at::Tensor semantic_features(const at::Tensor& wave16, CodecFeatures* features) const;
  at::Tensor joint_embedding(const at::Tensor& wave24, const FramePlan& plan, const at::Tensor& semantic,
                             CodecFeatures* features) const;
  at::Tensor quantized(const Codes& codes) const;

  CodecConfig config;
  at::Device device;
  std::string content_hash;
  codec::DacEncoder acoustic_encoder;
  codec::DacDecoder acoustic_decoder;
  codec::Hubert hubert;
  codec::SemanticEncoder semantic_encoder;
  codec::Linear fc, fc2;
  codec::ResidualQuantizer quantizer;
  FrameGeometry geometry;
  CodecRule rule = CodecRule::kHf;
  std::string fingerprint;
};

// [n16] -> [1, frames, HuBERT width]
at::Tensor AudioTokenizer::Impl::semantic_features(const at::Tensor& wave16, CodecFeatures* features) const {
  const at::Tensor padded =
      at::constant_pad_nd(wave16.to(device).unsqueeze(0), {kSemanticPadding, kSemanticPadding});
  std::vector<at::Tensor> states;
  const at::Tensor semantic = hubert.mean_hidden_states(padded, features == nullptr ? nullptr : &states)
                                  .slice(1, 0, std::nullopt, geometry.semantic_step);
  if (features != nullptr) {
    features->semantic = plain(semantic);
    for (const at::Tensor& state : states) features->hidden_states.push_back(plain(state));
  }
  return semantic;
}

// [n24] and the semantic features -> [1, width, frames], what is quantized
at::Tensor AudioTokenizer::Impl::joint_embedding(const at::Tensor& wave24, const FramePlan& plan,
                                                 const at::Tensor& semantic, CodecFeatures* features) const {
  const at::Tensor encoded_semantic = semantic_encoder(semantic.transpose(1, 2));
  at::Tensor wave = wave24.to(device).view({1, 1, -1});
  if (plan.acoustic_padding > 0) {
    // Under the other rule the clip may be too short for it.
    if (features != nullptr && rule == CodecRule::kBoson)
      features->first_acoustic = plain(acoustic_encoder(wave));
    wave = at::constant_pad_nd(wave, {plan.acoustic_padding, plan.acoustic_padding});
  }
  const at::Tensor acoustic = acoustic_encoder(wave);
  HIGGS_ASSERT(acoustic.size(2) == plan.num_acoustic && encoded_semantic.size(2) == plan.num_semantic);
  const at::Tensor both =
      at::cat({acoustic.slice(2, 0, plan.num_frames), encoded_semantic.slice(2, 0, plan.num_frames)}, 1);
  const at::Tensor joint = fc(both.transpose(1, 2));
  if (features != nullptr) {
    features->acoustic = plain(acoustic);
    features->encoded_semantic = plain(encoded_semantic);
    features->joint = plain(joint);
  }
  return joint.transpose(1, 2);
}

AudioTokenizer::AudioTokenizer(const fs::path& folder, at::Device device) {
  const c10::NoGradGuard no_grad;
  // TF32 convolutions on a GPU would change codes.
  if (device.is_cuda()) at::globalContext().setAllowTF32CuDNN(false);
  codec::CodecFiles files = codec::load_codec_folder(folder);
  WeightMap weights(files.where, std::move(files.tensors), device, std::move(files.stored_names));
  impl_ = std::make_unique<Impl>(files, weights, device);
  weights.finish();
  impl_->set_rule(files.rule);
}

AudioTokenizer::~AudioTokenizer() = default;

int AudioTokenizer::sample_rate() const {
  return static_cast<int>(impl_->config.sample_rate);
}
std::int64_t AudioTokenizer::hop_length() const {
  return impl_->geometry.hop_length;
}
std::int64_t AudioTokenizer::num_codebooks() const {
  return impl_->quantizer.num_quantizers();
}
std::int64_t AudioTokenizer::codebook_size() const {
  return impl_->quantizer.codebook_size();
}
std::int64_t AudioTokenizer::num_frames(std::int64_t num_samples) const {
  return plan_frames(num_samples, impl_->geometry, impl_->rule).num_frames;
}
std::int64_t AudioTokenizer::decoding_context() const {
  return impl_->acoustic_decoder.context();
}
const std::string& AudioTokenizer::fingerprint() const {
  return impl_->fingerprint;
}
CodecRule AudioTokenizer::rule() const {
  return impl_->rule;
}
void AudioTokenizer::set_rule(CodecRule rule) {
  impl_->set_rule(rule);
}

Codes AudioTokenizer::encode(std::span<const float> samples, const std::string& where,
                             CodecFeatures* features) const {
  const c10::NoGradGuard no_grad;
  const auto num_samples = static_cast<std::int64_t>(samples.size());
  const FramePlan plan = plan_frames(num_samples, impl_->geometry, impl_->rule);
  if (plan.num_frames == 0) {
    throw UserError(
        (where.empty() ? "" : where + ": ") + length_text(num_samples, sample_rate()) + " at " +
        std::to_string(sample_rate()) + " Hz are too short for the audio tokenizer, which needs at least " +
        length_text(min_samples(impl_->geometry, impl_->rule), sample_rate()) + "; remove the clip");
  }
  const at::Tensor wave24 = tensor_from(samples);
  const at::Tensor wave16 = tensor_from(
      resample_sinc(samples, sample_rate(), static_cast<int>(impl_->config.semantic_sample_rate)));
  const at::Tensor semantic = impl_->semantic_features(wave16, features);
  const at::Tensor embedding = impl_->joint_embedding(wave24, plan, semantic, features);
  at::Tensor margin;
  const Codes codes = codes_from(impl_->quantizer.encode(embedding, features == nullptr ? nullptr : &margin));
  if (features != nullptr) {
    features->wave24 = wave24;
    features->wave16 = wave16;
    features->margin = margin.cpu();
  }
  return codes;
}

// [1, width, T] on the device; undefined without frames. UserError for codes that this codec hasn't.
at::Tensor AudioTokenizer::Impl::quantized(const Codes& codes) const {
  HIGGS_ASSERT(static_cast<std::int64_t>(codes.values.size()) == codes.num_codebooks * codes.num_frames);
  if (codes.num_codebooks != quantizer.num_quantizers()) {
    throw UserError("codes of " + std::to_string(codes.num_codebooks) +
                    " codebooks; this audio tokenizer has " + std::to_string(quantizer.num_quantizers()));
  }
  const auto bad = std::find_if(codes.values.begin(), codes.values.end(), [&](std::int16_t code) {
    return code < 0 || code >= quantizer.codebook_size();
  });
  if (bad != codes.values.end()) {
    throw UserError("code " + std::to_string(*bad) +
                    " does not exist; this audio tokenizer's codes are 0 to " +
                    std::to_string(quantizer.codebook_size() - 1));
  }
  if (codes.num_frames == 0) return {};
  at::Tensor indices = at::empty({codes.num_codebooks, codes.num_frames}, at::kShort);
  std::memcpy(indices.data_ptr(), codes.values.data(), codes.values.size() * sizeof(std::int16_t));
  return quantizer.decode(indices.to(device, at::kLong));
}

std::vector<float> AudioTokenizer::decode(const Codes& codes) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor quantized = impl_->quantized(codes);
  if (!quantized.defined()) return {};
  const at::Tensor acoustic = impl_->fc2(quantized.transpose(1, 2)).transpose(1, 2);
  const at::Tensor wave = impl_->acoustic_decoder(acoustic).cpu().contiguous();
  HIGGS_ASSERT(wave.numel() == codes.num_frames * hop_length());
  const float* values = wave.data_ptr<float>();
  return {values, values + wave.numel()};
}

at::Tensor AudioTokenizer::latents(const Codes& codes) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor quantized = impl_->quantized(codes);
  if (!quantized.defined()) return at::empty({0, impl_->fc.weight.size(0)}, at::kFloat);
  return plain(quantized.transpose(1, 2));
}

}  // namespace higgs
