#include "higgs/app/speech.h"

#include <algorithm>
#include <sstream>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/data/prompt.h"

namespace higgs {

void describe_sampling(FlagTable& t, SamplingOptions& sampling) {
  t.add("greedy", sampling.greedy, "always the most likely code");
  t.add("temperature", sampling.temperature, "of sampling; default: the base's generation_config.json")
      .range(1e-3, 100)
      .follow_checkpoint();
  t.add("top_k", sampling.top_k, "sample among so many codes; 0: all").range(0).follow_checkpoint();
  t.add("top_p", sampling.top_p, "sample among the likeliest codes of this share")
      .range(1e-6, 1.0)
      .follow_checkpoint();
  t.add("ras_window", sampling.ras_window, "frames that repetition-aware sampling looks back on; 0: off")
      .range(0)
      .follow_checkpoint();
  t.add("ras_repeats", sampling.ras_repeats, "hits in them that have a code drawn again")
      .range(1)
      .follow_checkpoint();
}

void take_base_sampling(const fs::path& base, const FlagTable& table, SamplingOptions& sampling) {
  const fs::path path = base / "generation_config.json";
  if (!fs::exists(path)) return;
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  const auto take = [&](const char* flag, const char* key, auto& setting) {
    if (table.was_given(flag) || !fields.has(key)) return;
    if constexpr (std::is_same_v<decltype(setting), double&>) {
      setting = fields.number(key);
    } else {
      setting = fields.integer(key);
    }
    table.check_value(flag, static_cast<double>(setting), path.string() + ": key '" + key + "'");
  };
  take("temperature", "temperature", sampling.temperature);
  take("top_k", "top_k", sampling.top_k);
  take("top_p", "top_p", sampling.top_p);
  take("ras_window", "ras_win_len", sampling.ras_window);
  take("ras_repeats", "ras_win_max_num_repeat", sampling.ras_repeats);
}

std::size_t num_text_tokens(const ChatMLSample& prompt, const Tokenizer& tokenizer) {
  if (prompt.messages.empty()) return 0;
  std::size_t count = 0;
  for (const Content& content : prompt.messages.back().contents)
    count += tokenizer.encode(content.text).size();
  return count;
}

std::int64_t usual_frame_limit(std::size_t num_text_tokens, double seconds_per_text_token) {
  constexpr double kUsual = 0.2, kLeast = 10.0, kMost = 86400.0;  // seconds
  const double per_token = seconds_per_text_token > 0.0 ? seconds_per_text_token : kUsual;
  const double seconds = std::clamp(4.0 * per_token * static_cast<double>(num_text_tokens), kLeast, kMost);
  return static_cast<std::int64_t>(seconds * kFramesPerSecond);
}

std::vector<std::string> read_texts(const fs::path& path, const std::string& flag) {
  std::vector<std::string> texts;
  std::istringstream lines(read_file_or_pipe(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) texts.push_back(line);
  }
  if (texts.empty()) throw UserError(flag + " " + path.string() + ": holds no text");
  return texts;
}

EncodedSample encode_prompt(BaseModel& base, const ChatMLSample& prompt, const ClipFolder& folder,
                            const std::string& where) {
  EncodedSample sample = encode_sample(tokenize_prompt(prompt, base.tokenizer(), where), base.codes(),
                                       base.ids(), folder, where);
  sample.label_ids.reset();
  return sample;
}

SpokenClip speak(BaseModel& base, const ChatMLSample& prompt, const ClipFolder& folder,
                 const std::string& where, const SamplingOptions& sampling, std::int64_t max_frames) {
  SpokenClip clip;
  clip.generated =
      generate(base.model(), encode_prompt(base, prompt, folder, where), base.ids(), sampling, max_frames);
  if (clip.generated.codes.num_frames == 0) return clip;
  const AudioTokenizer& codec = base.codes().codec();
  clip.sound = {codec.decode(clip.generated.codes), codec.sample_rate()};
  return clip;
}

}  // namespace higgs
