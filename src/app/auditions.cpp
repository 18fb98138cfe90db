#include "auditions.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "higgs/base/ending.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/codec/codes.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/manifest_lines.h"
#include "higgs/data/prompt.h"
#include "higgs/kernels/philox.h"
#include "higgs/model/generation_batch.h"
#include "higgs/train/memory.h"

namespace higgs {
namespace {

constexpr const char* kNothing = "-";  // instead of what couldn't be spoken

// What was said, as it goes from rank to rank: whether it stopped, then its codes.
std::string packed(const GeneratedClip& clip) {
  std::string bytes(1, clip.stopped ? '1' : '0');
  bytes.append(reinterpret_cast<const char*>(clip.codes.values.data()),
               clip.codes.values.size() * sizeof(std::int16_t));
  return bytes;
}

GeneratedClip unpacked(const std::string& bytes, std::int64_t num_codebooks) {
  GeneratedClip clip;
  clip.stopped = bytes[0] == '1';
  clip.codes.num_codebooks = num_codebooks;
  clip.codes.values.resize((bytes.size() - 1) / sizeof(std::int16_t));
  std::memcpy(clip.codes.values.data(), bytes.data() + 1, bytes.size() - 1);
  clip.codes.num_frames = static_cast<std::int64_t>(clip.codes.values.size()) / num_codebooks;
  return clip;
}

const AudioContent* clip_in(const Message& message) {
  for (const Content& content : message.contents) {
    if (content.audio && !content.dropped) return &*content.audio;
  }
  return nullptr;
}

}  // namespace

Auditions::Auditions(BaseModel& base, const TrainOptions& options, const TrainingData& data, RunLog& run_log,
                     Collective& ranks)
    : base_(base),
      run_log_(run_log),
      ranks_(ranks),
      system_(data.training.system_text.empty() ? system_text(kDefaultScene) : data.training.system_text),
      seconds_per_text_token_(data.training.seconds_per_text_token),
      seed_(static_cast<std::uint64_t>(options.seed)) {
  if (!options.audition_texts.empty()) take_texts(options.audition_texts);
  if (options.auditions > 0)
    take_samples(data.validation ? *data.validation : data.training, options.auditions);
  if (prompts_.empty()) return;
  FlagTable table;
  describe_sampling(table, sampling_);
  take_base_sampling(base.folder(), table, sampling_);
  try {
    base.codes().codec();
  } catch (const UserError& error) {
    if (!options.audition_texts.empty()) throw;  // they were asked for
    log::info(std::string("no auditions: ") + error.what());
    prompts_.clear();
  }
}

void Auditions::take_texts(const std::string& path) {
  for (const std::string& text : read_texts(path, "--audition_texts")) {
    Prompt prompt;
    prompt.chat = generation_prompt(system_, text, std::nullopt);
    prompt.where = path;
    prompt.text = text;
    prompt.num_tokens = num_text_tokens(prompt.chat, base_.tokenizer());
    prompts_.push_back(std::move(prompt));
  }
}

void Auditions::take_samples(const Dataset& dataset, std::int64_t count) {
  const auto num_prompts = std::min(static_cast<std::size_t>(count), dataset.size());
  std::vector<std::string> lines;
  std::size_t next = 0;
  for (std::size_t i = 0; i < num_prompts; ++i) {
    next = std::max(next, i * dataset.size() / num_prompts);
    while (next < dataset.size() && dataset.replies(next).empty()) ++next;
    if (next == dataset.size()) break;
    lines.push_back(dataset.where(next++));
  }
  std::istringstream samples(lines_with_full_paths(lines));
  std::size_t i = 0;
  for (std::string line; std::getline(samples, line); ++i) {
    const ChatMLSample sample = parse_chatml(line, lines[i]);
    Prompt prompt;
    prompt.chat = prompt_of_sample(sample, lines[i]);
    const AudioContent* clip = clip_in(sample.messages[prompt.chat.messages.size()]);
    if (clip == nullptr) continue;  // its last turn is read, not spoken
    prompt.recording = *clip;
    prompt.where = lines[i];
    if (!prompt.chat.messages.empty()) prompt.text = text_of(prompt.chat.messages.back());
    prompt.num_tokens = num_text_tokens(prompt.chat, base_.tokenizer());
    prompts_.push_back(std::move(prompt));
  }
}

Waveform Auditions::recording_of(const Prompt& prompt) const {
  const AudioTokenizer& codec = base_.codes().codec();
  const ClipFile file(*prompt.recording, ClipFolder(fs::path()), prompt.where);
  if (file.holds_codes()) return {codec.decode(read_codes(file.path())), codec.sample_rate()};
  const Waveform wave = read_audio_bytes(
      file.bytes(), file.name(), {prompt.recording->offset, prompt.recording->duration}, prompt.where);
  return {resample_soxr(wave.samples, wave.sample_rate, codec.sample_rate()), codec.sample_rate()};
}

void Auditions::keep_recordings() {
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    if (!prompts_[i].recording) continue;
    try {
      run_log_.on_reference({i, prompts_[i].text, recording_of(prompts_[i])});
    } catch (const UserError& error) {
      log::warn(std::string("no recording beside an audition: ") + error.what());
    }
  }
}

std::map<std::size_t, std::string> Auditions::speak(const std::vector<std::size_t>& prompts) const {
  std::map<std::size_t, std::string> spoken;
  for (const std::size_t i : prompts) spoken[i] = kNothing;
  if (prompts.empty()) return spoken;
  try {
    GenerationBatch batch(base_.model(), base_.ids(), prompts.size());
    for (const std::size_t i : prompts) {
      const Prompt& prompt = prompts_[i];
      SamplingOptions sampling = sampling_;
      sampling.seed = mix_key(seed_, i);
      batch.add(i, encode_prompt(base_, prompt.chat, ClipFolder(fs::path()), prompt.where), sampling,
                usual_frame_limit(prompt.num_tokens, seconds_per_text_token_));
    }
    while (!batch.empty()) {
      for (const GenerationBatch::Finished& finished : batch.step())
        spoken[finished.key] = packed(finished.clip);
      ranks_.progress();
    }
  } catch (const std::exception& error) {
    const bool out_of_memory = is_out_of_memory(std::current_exception());
    log::warn(std::string("auditions left out: ") + (out_of_memory ? "out of memory" : error.what()));
  }
  release_cached_memory(base_.device());
  return spoken;
}

void Auditions::speak_all(std::int64_t step) {
  if (prompts_.empty()) return;
  ranks_.at(step, "auditions");
  const auto key = [&](std::size_t i) {
    return "audition " + std::to_string(step) + "/" + std::to_string(i);
  };
  std::vector<std::size_t> share;
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    if (static_cast<int>(i % static_cast<std::size_t>(ranks_.world_size())) == ranks_.rank())
      share.push_back(i);
  }
  const std::map<std::size_t, std::string> mine = speak(share);
  if (ranks_.rank() != 0) {
    for (const auto& [i, clip] : mine) ranks_.publish(key(i), clip);
  }
  ranks_.barrier();
  if (ranks_.rank() != 0) return;
  if (!run_log_.has_recordings()) keep_recordings();
  const AudioTokenizer& codec = base_.codes().codec();
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    const auto own = mine.find(i);
    const std::string bytes = own != mine.end() ? own->second : ranks_.published(key(i));
    if (bytes == kNothing) continue;
    const GeneratedClip clip = unpacked(bytes, base_.ids().num_codebooks);
    AuditionClip audition{step, i, prompts_[i].text, {}, clip.stopped};
    if (clip.codes.num_frames > 0) audition.sound = {codec.decode(clip.codes), codec.sample_rate()};
    run_log_.on_audition(audition);
  }
  run_log_.write_report();
}

}  // namespace higgs
