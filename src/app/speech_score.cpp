#include "speech_score.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "higgs/app/speech.h"
#include "higgs/audio/clip_check.h"
#include "higgs/base/log.h"
#include "higgs/codec/alignment.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

// Over the clips that have the value.
template <typename Value>
double mean(const std::vector<SpokenScore>& clips, const Value& value) {
  double sum = 0.0;
  std::size_t count = 0;
  for (const SpokenScore& clip : clips) {
    const std::optional<double> one = value(clip);
    if (!one) continue;
    sum += *one;
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

double silent_tail_of(const Waveform& sound) {
  if (sound.samples.empty()) return 0.0;
  const ClipMeasures measures = measure_clip(sound.samples, sound.sample_rate);
  return measures.is_silent ? measures.seconds : measures.trailing_silence;
}

}  // namespace

double SpeechScore::stop_rate() const {
  return mean(clips, [](const SpokenScore& clip) { return clip.stopped ? 1.0 : 0.0; });
}
double SpeechScore::silent_tail() const {
  return mean(clips, [](const SpokenScore& clip) { return clip.silent_tail; });
}
double SpeechScore::length_error() const {
  return mean(clips, [](const SpokenScore& clip) { return clip.length_error(); });
}
double SpeechScore::absolute_length_error() const {
  return mean(clips, [](const SpokenScore& clip) { return std::abs(clip.length_error()); });
}
double SpeechScore::distance() const {
  return mean(clips, [](const SpokenScore& clip) { return clip.distance; });
}
double SpeechScore::distance_to_other() const {
  return mean(clips, [](const SpokenScore& clip) { return clip.distance_to_other; });
}

SpeechCheck::SpeechCheck(BaseModel& base, const fs::path& manifest, const HeldOut& held_out, Options options)
    : base_(base), options_(std::move(options)) {
  const AudioTokenizer& codec = base.codes().codec();
  for (HeldOutPrompt& prompt :
       read_prompts(manifest, base.confine_paths(), spread_evenly(held_out.speakable, options_.count))) {
    Sample sample{std::move(prompt), 0, {}, {}, {}};
    sample.speaker = held_out.speakers.of[sample.held_out.sample];
    sample.recorded =
        base.codes().codes(sample.held_out.recorded, sample.held_out.folder, sample.held_out.where);
    sample.latents = codec.latents(sample.recorded);
    samples_.push_back(std::move(sample));
  }
  for (std::size_t i = 0; i < samples_.size(); ++i) samples_[i].other = other_than(i);
}

std::optional<std::size_t> SpeechCheck::other_than(std::size_t i) const {
  std::optional<std::size_t> found;
  for (std::size_t step = 1; step < samples_.size(); ++step) {
    const std::size_t other = (i + step) % samples_.size();
    if (samples_[other].recorded.values == samples_[i].recorded.values) continue;
    if (samples_[other].speaker == samples_[i].speaker) return other;
    if (!found) found = other;
  }
  return found;
}

SpeechScore SpeechCheck::score(const std::string& name, double seconds_per_text_token) const {
  const fs::path folder = options_.out_dir.empty() ? fs::path() : options_.out_dir / name;
  if (!folder.empty()) make_writable_folder(folder);
  log::Progress progress(name + ": speaking held-out samples");
  SpeechScore out;
  for (const Sample& sample : samples_) {
    out.clips.push_back(score(sample, folder, seconds_per_text_token));
    progress(out.clips.size(), samples_.size());
  }
  return out;
}

SpokenScore SpeechCheck::score(const Sample& sample, const fs::path& folder,
                               double seconds_per_text_token) const {
  const HeldOutPrompt& held_out = sample.held_out;
  SamplingOptions sampling = options_.sampling;
  sampling.seed = mix_key(options_.seed, held_out.sample);
  const std::int64_t limit =
      usual_frame_limit(num_text_tokens(held_out.prompt, base_.tokenizer()), seconds_per_text_token);
  const SpokenClip clip = speak(base_, held_out.prompt, held_out.folder, held_out.where, sampling, limit);
  SpokenScore out;
  out.line = held_out.number;
  out.stopped = clip.generated.stopped;
  out.seconds = clip.seconds();
  out.recorded_seconds = static_cast<double>(sample.recorded.num_frames) / kFramesPerSecond;
  out.silent_tail = silent_tail_of(clip.sound);
  if (clip.generated.codes.num_frames == 0) return out;
  const at::Tensor latents = base_.codes().codec().latents(clip.generated.codes);
  out.distance = aligned_distance(latents, sample.latents);
  if (sample.other) out.distance_to_other = aligned_distance(latents, samples_[*sample.other].latents);
  if (!folder.empty()) {
    char name[40];
    std::snprintf(name, sizeof name, "line_%05llu.wav", static_cast<unsigned long long>(out.line));
    out.wav = folder / name;
    write_wav(out.wav, clip.sound);
  }
  return out;
}

}  // namespace higgs
