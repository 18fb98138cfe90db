// What the measures of a sample's clips mean, and its references.
#include <algorithm>

#include "sample_problems.h"

namespace higgs {

std::string seconds_text(double value) {
  return formatted("%.2f s", value);
}

void check_sound(const CheckedClip& clip, const ClipMeasures& m, int sample_rate, CheckedSample& out) {
  if (sample_rate < kModelRate) {
    add_warning(out, "sample_rate",
                clip.name + ": " + std::to_string(sample_rate) + " Hz, below the model's " +
                    std::to_string(kModelRate) + ": the voice will sound as dull; use a better original");
  }
  if (m.is_silent) {
    add_error(out, "silence",
              clip.name + ": nothing in it is louder than " + formatted("%.0f dB", kSilentDb) +
                  "; remove or replace the clip");
    return;
  }
  if (m.num_clipped > 0) {
    add_warning(out, "clipping",
                clip.name + ": clipped in " + std::to_string(m.num_clipped) +
                    (m.num_clipped == 1 ? " place" : " places") +
                    "; record with less gain, or take a version that isn't");
  }
  if (m.lufs && (*m.lufs < kLeastLufs || *m.lufs > kMostLufs)) {
    add_warning(out, "loudness",
                clip.name + ": " + formatted("%.1f LUFS", *m.lufs) + ", outside " +
                    formatted("%.0f to ", kLeastLufs) + formatted("%.0f", kMostLufs) +
                    "; bring the clips to one loudness, -23 LUFS for one");
  }
  if (m.leading_silence > kMostSilenceAtEnds || m.trailing_silence > kMostSilenceAtEnds) {
    add_warning(out, "silent_ends",
                clip.name + ": " + seconds_text(m.leading_silence) + " of silence before the voice, " +
                    seconds_text(m.trailing_silence) + " after it; cut them down to " +
                    formatted("%.1f s", kMostSilenceAtEnds) + " or less");
  }
  if (m.voice_at_end && clip.use != ClipUse::kHeard) {
    add_warning(out, "cut_off",
                clip.name + ": the voice goes on to the last " + formatted("%.0f ms", 1000 * kEndSeconds) +
                    "; is the end cut off? Leave a little silence behind the last word");
  }
}

void check_references(CheckedSample& out) {
  const auto is_reply = [](const CheckedClip& clip) { return clip.use == ClipUse::kReply; };
  for (const CheckedClip& clip : out.clips) {
    if (is_reply(clip) || std::none_of(out.clips.begin(), out.clips.end(), is_reply)) continue;
    if (clip.seconds < kLeastReference || clip.seconds > kMostReference) {
      add_warning(out, "reference_length",
                  clip.name + ": a reference of " + seconds_text(clip.seconds) + "; " +
                      formatted("%.0f to ", kLeastReference) + formatted("%.0f s", kMostReference) +
                      " are followed best; take another clip");
    }
    if (std::any_of(out.clips.begin(), out.clips.end(),
                    [&](const CheckedClip& other) { return is_reply(other) && other.hash == clip.hash; })) {
      add_error(out, "reference_is_reply",
                clip.name +
                    ": the reference is the very clip that is to be said, so the model learns to "
                    "copy; take another clip of the speaker");
    }
  }
}

}  // namespace higgs
