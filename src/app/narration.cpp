#include "narration.h"

#include <algorithm>
#include <deque>

#include "higgs/app/speech.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/data/prompt.h"
#include "higgs/kernels/philox.h"
#include "higgs/model/generation_batch.h"
#include "higgs/text/unicode.h"

namespace higgs {
namespace {

struct SpokenChunk {
  std::string text;
  Codes codes;
};

// A text on its way.
struct Progress {
  std::size_t chunk = 0;            // being spoken, or next
  EncodedSample opening;            // the first chunk's: its clips stand in every prompt
  std::deque<SpokenChunk> context;  // newest last
  std::int64_t num_handed_on = 0;   // of the chunk's frames
  NarrationEnd end;
};

class Narrator {
 public:
  Narrator(BaseModel& base, std::span<const Narration> narrations, const NarrationOptions& options,
           const NarrationListener& listener)
      : base_(base),
        narrations_(narrations),
        options_(options),
        listener_(listener),
        batch_(base.model(), base.ids(), std::min(options.batch_size, narrations.size())),
        progress_(narrations.size()) {
    for (std::size_t i = 0; i < narrations.size(); ++i) waiting_.push_back(i);
  }

  void run() {
    while (true) {
      for (; !batch_.full() && !waiting_.empty(); waiting_.pop_front()) begin(waiting_.front());
      if (batch_.empty()) return;
      for (const GenerationBatch::Finished& finished : batch_.step()) end(finished.key, finished.clip);
      if (options_.block_frames == 0) continue;
      for (const std::size_t i : speaking_) hand_on_ready(i);
    }
  }

 private:
  std::size_t num_chunks(std::size_t i) const {
    return std::max<std::size_t>(1, narrations_[i].chunks.size());
  }

  // The prompt of the text's next chunk.
  ChatMLSample prompt_of(std::size_t i) const {
    const Narration& narration = narrations_[i];
    ChatMLSample prompt = narration.prompt;
    if (num_chunks(i) == 1) return prompt;
    Message turn = std::move(prompt.messages.back());
    prompt.messages.pop_back();
    for (const SpokenChunk& spoken : progress_[i].context) append_spoken(prompt, spoken.text, {});
    turn.contents.front().text = narration.chunks[progress_[i].chunk];
    prompt.messages.push_back(std::move(turn));
    return prompt;
  }

  void begin(std::size_t i) {
    const Narration& narration = narrations_[i];
    Progress& progress = progress_[i];
    const ChatMLSample prompt = prompt_of(i);
    const TokenizedSample tokens = tokenize_prompt(prompt, base_.tokenizer(), narration.where);
    if (progress.chunk == 0) {
      progress.opening = encode_sample(tokens, base_.codes(), base_.ids(), narration.folder, narration.where);
      progress.opening.label_ids.reset();
    }
    EncodedSample sample = progress.opening;
    sample.input_ids = tokens.input_ids;
    for (const SpokenChunk& spoken : progress.context) {
      sample.codes.push_back(spoken.codes);
      if (!sample.heard.empty()) sample.heard.emplace_back();
    }
    SamplingOptions sampling = options_.sampling;
    sampling.seed = mix_key(sampling.seed, i);
    if (progress.chunk > 0) sampling.seed = mix_key(sampling.seed, progress.chunk);
    progress.num_handed_on = 0;
    batch_.add(i, sample, sampling, options_.max_frames(num_text_tokens(prompt, base_.tokenizer())));
    speaking_.push_back(i);
  }

  void hand_on(std::size_t i, const Codes& frames) {
    if (frames.num_frames == 0) return;
    progress_[i].num_handed_on += frames.num_frames;
    progress_[i].end.num_frames += frames.num_frames;
    listener_.on_frames(i, frames);
  }

  void hand_on_ready(std::size_t i) {
    const std::int64_t begin = progress_[i].num_handed_on, ready = batch_.num_ready(i);
    if (ready - begin >= options_.block_frames) hand_on(i, batch_.ready(i, begin, ready));
  }

  void end(std::size_t i, const GeneratedClip& clip) {
    std::erase(speaking_, i);
    Progress& progress = progress_[i];
    hand_on(i, frames_of(clip.codes, progress.num_handed_on, clip.codes.num_frames));
    if (!clip.stopped) ++progress.end.num_unstopped;
    if (num_chunks(i) > 1) end_chunk(i, clip);
    if (++progress.chunk < num_chunks(i)) {
      waiting_.push_front(i);
      return;
    }
    const NarrationEnd end = progress.end;
    progress = {};
    listener_.on_end(i, end);
  }

  void end_chunk(std::size_t i, const GeneratedClip& clip) {
    Progress& progress = progress_[i];
    char text[120];
    std::snprintf(text, sizeof text, ": chunk %zu of %zu: ", progress.chunk + 1, num_chunks(i));
    const std::string what = narrations_[i].where + text;
    std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(clip.codes.num_frames) / kFramesPerSecond);
    const std::string& said = narrations_[i].chunks[progress.chunk];
    if (clip.codes.num_frames == 0) {
      log::warn(what + "the model said nothing of \"" + utf8_lossy(said) + "\"");
    } else if (!clip.stopped) {
      log::warn(what + text + ", did not stop: its end may be babble; it is no context for the next");
    } else {
      log::info(what + text);
      progress.context.push_back({said, clip.codes});
      if (progress.context.size() > options_.chunk_context) progress.context.pop_front();
    }
  }

  BaseModel& base_;
  std::span<const Narration> narrations_;
  const NarrationOptions& options_;
  const NarrationListener& listener_;
  GenerationBatch batch_;
  std::vector<Progress> progress_;
  std::deque<std::size_t> waiting_;
  std::vector<std::size_t> speaking_;
};

}  // namespace

void narrate(BaseModel& base, std::span<const Narration> narrations, const NarrationOptions& options,
             const NarrationListener& listener) {
  if (!narrations.empty()) Narrator(base, narrations, options, listener).run();
}

}  // namespace higgs
