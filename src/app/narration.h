// Texts spoken in a batch, long ones chunk by chunk with what was spoken before as context.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "higgs/app/base_model.h"
#include "higgs/data/chatml.h"
#include "higgs/data/clip_folder.h"
#include "higgs/model/sampling.h"

namespace higgs {

struct Narration {
  ChatMLSample prompt;  // ends in the user turn that says what to speak
  // What that turn's text is cut into, spoken one after the other; at most one: the turn as it stands.
  std::vector<std::string> chunks;
  ClipFolder folder;
  std::string where;  // begins each UserError
};

struct NarrationOptions {
  SamplingOptions sampling;  // its seed is mixed with the number of the text, and of each chunk but the first
  std::size_t batch_size = 1;
  std::size_t chunk_context = 2;  // chunks spoken before that stand in the prompt of the next
  std::int64_t block_frames = 0;  // frames are handed on when there are so many; 0: chunk by chunk
  std::function<std::int64_t(std::size_t num_text_tokens)> max_frames;  // of a chunk
};

struct NarrationEnd {
  std::int64_t num_frames = 0;
  std::size_t num_unstopped = 0;  // chunks that ran into the limit
};

// Both are told the number of the text; texts end in any order.
struct NarrationListener {
  std::function<void(std::size_t, const Codes&)> on_frames;  // the next of that text
  std::function<void(std::size_t, const NarrationEnd&)> on_end;
};

// Speaks all with the model's adapter, if it has one. A text gets the frames that it would get alone, but for
// the rounding of sums (model/generation_batch.h). Chunks that run into the limit are warned of and are no
// context for the next; so are those in which nothing is said.
void narrate(BaseModel& base, std::span<const Narration> narrations, const NarrationOptions& options,
             const NarrationListener& listener);

}  // namespace higgs
