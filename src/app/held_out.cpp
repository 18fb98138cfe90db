#include "higgs/app/held_out.h"

#include <algorithm>

#include "higgs/data/manifest.h"
#include "higgs/data/prompt.h"
#include "higgs/text/script.h"

namespace higgs {
namespace {

std::string language_of(const ChatMLSample& sample) {
  if (sample.language) return *sample.language;
  std::string text;
  for (const Message& message : sample.messages) {
    if (message.role != "user") continue;
    for (const Content& content : message.contents) text += content.text;
  }
  return name_of(written_text(text).script);
}

// The clip that prompt_of_sample() leaves to be spoken; null when there is none.
const AudioContent* recorded_reply(const ChatMLSample& sample) {
  const auto last = std::find_if(sample.messages.rbegin(), sample.messages.rend(),
                                 [](const Message& message) { return message.role == "assistant"; });
  if (last == sample.messages.rend()) return nullptr;
  for (const Content& content : last->contents) {
    if (content.audio && !content.audio->text) return &*content.audio;
  }
  return nullptr;
}

}  // namespace

void Grouping::add(const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  of.push_back(static_cast<std::size_t>(found - names.begin()));
  if (found == names.end()) names.push_back(name);
}

HeldOut read_held_out(const fs::path& path, bool confine_paths) {
  HeldOut out;
  std::size_t count = 0;
  for (Manifest manifest(path, confine_paths); manifest.next(); ++count) {
    const ChatMLSample sample = parse_chatml(manifest.line(), manifest.where());
    out.speakers.add(sample.speaker.value_or("(none)"));
    out.languages.add(language_of(sample));
    if (recorded_reply(sample) != nullptr) out.speakable.push_back(count);
  }
  return out;
}

std::vector<HeldOutPrompt> read_prompts(const fs::path& path, bool confine_paths,
                                        const std::vector<std::size_t>& samples) {
  std::vector<HeldOutPrompt> prompts;
  std::size_t count = 0;
  for (Manifest manifest(path, confine_paths); prompts.size() < samples.size() && manifest.next(); ++count) {
    if (count != samples[prompts.size()]) continue;
    const std::string where = manifest.where();
    const ChatMLSample sample = parse_chatml(manifest.line(), where);
    prompts.push_back({count, manifest.number(), where, prompt_of_sample(sample, where),
                       *recorded_reply(sample), manifest.clips()});
  }
  return prompts;
}

std::vector<std::size_t> spread_evenly(const std::vector<std::size_t>& all, std::size_t count) {
  if (count >= all.size()) return all;
  std::vector<std::size_t> picked;
  for (std::size_t i = 0; i < count; ++i) picked.push_back(all[i * all.size() / count]);
  return picked;
}

}  // namespace higgs
