// A prompt made to speak, as `generate`, `evaluate` and a run's auditions do.
#pragma once

#include "higgs/app/base_model.h"
#include "higgs/app/flags.h"
#include "higgs/audio/waveform.h"
#include "higgs/data/chatml.h"
#include "higgs/data/clip_folder.h"
#include "higgs/model/generate.h"

namespace higgs {

struct SpokenClip {
  GeneratedClip generated;
  Waveform sound;  // empty when no frame came before the EOS

  double seconds() const { return static_cast<double>(generated.codes.num_frames) / kFramesPerSecond; }
};

// Adds the flags of sampling.
void describe_sampling(FlagTable& table, SamplingOptions& sampling);
// Those that weren't given, as the base's generation_config.json has them. UserError: out of a flag's range.
void take_base_sampling(const fs::path& base, const FlagTable& table, SamplingOptions& sampling);

// Tokens of the last turn's texts, which is what is to be said.
std::size_t num_text_tokens(const ChatMLSample& prompt, const Tokenizer& tokenizer);

// Frames after which a clip that hasn't stopped is given up: 4 times the training set's seconds per text
// token (0: unknown, then a second per five tokens), at least 10 s, at most a day.
std::int64_t usual_frame_limit(std::size_t num_text_tokens, double seconds_per_text_token);

// Texts of a file, one a line. UserError, `flag` in front, when it holds none.
std::vector<std::string> read_texts(const fs::path& path, const std::string& flag);

// `prompt` as generation takes it. `folder` is where its clips are; `where` begins each UserError.
EncodedSample encode_prompt(BaseModel& base, const ChatMLSample& prompt, const ClipFolder& folder,
                            const std::string& where);

// Speaks the turn that would follow `prompt`, with the model's adapter if it has one.
SpokenClip speak(BaseModel& base, const ChatMLSample& prompt, const ClipFolder& folder,
                 const std::string& where, const SamplingOptions& sampling, std::int64_t max_frames);

}  // namespace higgs
