#include "higgs/report/audition.h"

#include "higgs/audio/clip_check.h"
#include "higgs/formats/checkpoint_folder.h"

namespace higgs {
namespace {

double seconds_of(const Waveform& sound) {
  return sound.samples.empty() ? 0.0 : static_cast<double>(sound.samples.size()) / sound.sample_rate;
}

// Seconds after the last of the voice; all of a clip in which there is none.
double silent_tail(const Waveform& sound) {
  if (sound.samples.empty()) return 0.0;
  const ClipMeasures measures = measure_clip(sound.samples, sound.sample_rate);
  return measures.is_silent ? measures.seconds : measures.trailing_silence;
}

}  // namespace

std::string sound_file_of(const AuditionClip& clip) {
  return "samples/" + checkpoint_name(clip.step) + "/" + std::to_string(clip.prompt) + ".ogg";
}

std::string sound_file_of(const AuditionReference& reference) {
  return "samples/reference/" + std::to_string(reference.prompt) + ".ogg";
}

OrderedJson metrics_object(const AuditionClip& clip) {
  return {{"kind", "audition"},
          {"step", clip.step},
          {"prompt", clip.prompt},
          {"text", clip.text},
          {"file", clip.sound.samples.empty() ? "" : sound_file_of(clip)},
          {"clip_seconds", seconds_of(clip.sound)},
          {"stopped", clip.stopped},
          {"silent_tail", silent_tail(clip.sound)}};
}

OrderedJson metrics_object(const AuditionReference& reference) {
  return {{"kind", "reference"},
          {"step", 0},
          {"prompt", reference.prompt},
          {"text", reference.text},
          {"file", sound_file_of(reference)},
          {"clip_seconds", seconds_of(reference.sound)}};
}

}  // namespace higgs
