// The collator's Whisper branch: clips of <|AUDIO|> tokens as log-mel features, long ones in chunks.
#include "higgs/audio/log_mel.h"
#include "higgs/base/error.h"
#include "higgs/data/collate.h"

namespace higgs {
namespace {

std::string prefix(const EncodedSample& sample) {
  return sample.where.empty() ? "" : sample.where + ": ";
}

// The heard clips of a sample, in the order of their tokens.
std::vector<const HeardClip*> heard_clips(const EncodedSample& sample, const CollateOptions& options) {
  std::vector<const HeardClip*> clips;
  std::size_t index = 0;
  for (const std::int64_t id : sample.input_ids) {
    if (id != options.audio_in_id && id != options.audio_out_id) continue;
    if (id == options.audio_in_id) {
      HIGGS_ASSERT(index < sample.heard.size() && sample.heard[index].read != nullptr);
      clips.push_back(&sample.heard[index]);
    }
    ++index;
  }
  return clips;
}

std::int64_t num_chunks(std::int64_t num_samples, const WhisperOptions& options) {
  return std::max<std::int64_t>(1, (num_samples + options.chunk_samples - 1) / options.chunk_samples);
}

void check_order(const EncodedSample& sample, const CollateOptions& options) {
  bool spoken = false;
  for (const std::int64_t id : sample.input_ids) {
    if (id == options.audio_out_id) spoken = true;
    if (id == options.audio_in_id && spoken) {
      throw UserError(
          prefix(sample) +
          "a clip that is heard (<|AUDIO|>) comes after one that is spoken (<|AUDIO_OUT|>), which a "
          "base with an audio tower cannot take; put heard clips first");
    }
  }
}

}  // namespace

std::optional<EncodedSample> cut_into_chunks(const EncodedSample& sample, const CollateOptions& options) {
  check_order(sample, options);
  const std::vector<const HeardClip*> clips = heard_clips(sample, options);
  std::int64_t total = 0;
  for (const HeardClip* clip : clips) total += num_chunks(clip->num_samples, *options.whisper);
  if (total == static_cast<std::int64_t>(clips.size())) return std::nullopt;
  const bool speaks = sample.codes.size() > clips.size();
  if (speaks || options.return_audio_in_tokens) {
    const double seconds = static_cast<double>(options.whisper->chunk_samples) / kMelSampleRate;
    throw UserError(prefix(sample) + "a clip that is heard (<|AUDIO|>) lasts more than " +
                    std::to_string(static_cast<int>(seconds)) +
                    " s, which this base's audio tower takes only " + "in samples that speak nothing" +
                    (options.return_audio_in_tokens ? " and without encode_audio_in_tokens" : "") +
                    "; cut the clip");
  }
  EncodedSample out;
  out.where = sample.where;
  out.codes.resize(static_cast<std::size_t>(total));
  if (sample.label_ids) out.label_ids.emplace();
  std::size_t next = 0, clip = 0;
  const auto copy_until = [&](std::size_t end) {
    for (; next < end; ++next) {
      out.input_ids.push_back(sample.input_ids[next]);
      if (sample.label_ids) out.label_ids->push_back((*sample.label_ids)[next]);
    }
  };
  for (std::size_t i = 0; i < sample.input_ids.size(); ++i) {
    if (sample.input_ids[i] != options.audio_in_id) continue;
    HIGGS_ASSERT(i > 0 && i + 1 < sample.input_ids.size());
    for (std::int64_t chunk = num_chunks(clips[clip++]->num_samples, *options.whisper); chunk > 0; --chunk) {
      copy_until(i + 2);
      if (chunk > 1) next = i - 1;
    }
  }
  copy_until(sample.input_ids.size());
  return out;
}

std::int64_t num_feature_rows(std::int64_t num_valid) {
  const std::int64_t halved = (num_valid + 1) / 2;  // the second convolution
  return halved / 2;                                // the pooling
}

std::int64_t heard_length(std::int64_t num_samples, const WhisperOptions& options) {
  const std::int64_t chunks = num_chunks(num_samples, options);
  std::int64_t length = 2 * (chunks - 1);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t rest = num_samples - chunk * options.chunk_samples;
    length += num_feature_rows(num_mel_frames(std::min(rest, options.chunk_samples), options.num_frames));
  }
  return length;
}

AudioFeatures audio_features(std::span<const EncodedSample* const> samples, const CollateOptions& options) {
  const WhisperOptions& whisper = *options.whisper;
  const LogMel mel(whisper.num_mels, whisper.num_frames);
  const auto block = static_cast<std::size_t>(whisper.num_mels * whisper.num_frames);
  AudioFeatures out;
  out.num_mels = whisper.num_mels;
  out.num_frames = whisper.num_frames;
  for (const EncodedSample* sample : samples) {
    for (const HeardClip* clip : heard_clips(*sample, options)) {
      const std::vector<float> wave = clip->read();
      if (static_cast<std::int64_t>(wave.size()) != clip->num_samples || wave.empty())
        throw UserError(prefix(*sample) + "a clip has changed since it was first read");
      for (std::int64_t chunk = 0; chunk < num_chunks(clip->num_samples, whisper); ++chunk) {
        const auto begin = static_cast<std::size_t>(chunk * whisper.chunk_samples);
        const auto size = std::min(static_cast<std::size_t>(whisper.chunk_samples), wave.size() - begin);
        out.num_valid.push_back(num_mel_frames(static_cast<std::int64_t>(size), whisper.num_frames));
        out.values.resize(out.values.size() + block);
        mel.compute(std::span(wave).subspan(begin, size), std::span(out.values).last(block));
      }
    }
  }
  return out;
}

}  // namespace higgs
