#include "spoken_file.h"

#include <cstdio>

#include "higgs/audio/waveform.h"
#include "higgs/base/log.h"

namespace higgs {

SpokenFile::SpokenFile(const AudioTokenizer& codec, SpokenFileOptions options)
    : codec_(codec), options_(std::move(options)), decoder_(codec) {}

void SpokenFile::take(const std::vector<float>& samples) {
  if (!options_.stream) {
    samples_.insert(samples_.end(), samples.begin(), samples.end());
    return;
  }
  if (!growing_) {
    growing_.emplace(options_.wav == kStdout ? WavFile::on_stdout(codec_.sample_rate())
                                             : WavFile(options_.wav, codec_.sample_rate()));
  }
  growing_->append(samples);
}

// One chunk is decoded in one go. Chunks are joined as codes: decoded as one piece of speech, the sound has
// no step at a joint, and the pauses are those that the model spoke.
void SpokenFile::add(const Codes& frames) {
  const bool whole = options_.num_chunks == 1 && !options_.stream;
  if (whole || !options_.codes.empty()) append_frames(codes_, frames);
  if (!whole) take(decoder_.push(frames));
}

std::string SpokenFile::summary(const NarrationEnd& end) const {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, ": %.2f s", static_cast<double>(end.num_frames) / kFramesPerSecond);
  const std::string start = (options_.wav == kStdout ? "stdout" : options_.wav.string()) + seconds;
  if (options_.num_chunks == 1) {
    return start + (end.num_unstopped == 0 ? ", stopped by itself" : ", did not stop");
  }
  return start + " in " + std::to_string(options_.num_chunks) + " chunks, " +
         (end.num_unstopped == 0 ? "all stopped by themselves"
                                 : std::to_string(end.num_unstopped) + " did not stop");
}

void SpokenFile::finish(const NarrationEnd& end) {
  if (end.num_frames == 0) return;
  if (options_.num_chunks == 1 && !options_.stream) {
    samples_ = codec_.decode(codes_);
  } else {
    take(decoder_.finish());
  }
  if (!options_.stream) write_wav(options_.wav, {std::move(samples_), codec_.sample_rate()});
  if (!options_.codes.empty()) write_codes(options_.codes, codes_);
  growing_.reset();
  log::info(summary(end));
}

}  // namespace higgs
