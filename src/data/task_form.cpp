#include "higgs/data/task_form.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/data/prompt.h"

namespace higgs {
namespace {

AudioContent audio_of(const Utterance& utterance, const NameAudio& name) {
  AudioContent audio;
  audio.audio_url = name(utterance.audio);
  audio.offset = utterance.offset;
  audio.duration = utterance.duration;
  return audio;
}

void answer_with(ChatMLSample& sample, const Utterance& utterance, const NameAudio& name) {
  Message message;
  message.role = "assistant";
  message.contents.emplace_back();
  message.contents.back().audio = audio_of(utterance, name);
  sample.messages.push_back(std::move(message));
}

OrderedJson json_of(const Content& content) {
  if (!content.audio) return content.text;
  OrderedJson audio = {{"type", "audio"}, {"audio_url", content.audio->audio_url}};
  if (content.audio->offset) audio["offset"] = *content.audio->offset;
  if (content.audio->duration) audio["duration"] = *content.audio->duration;
  return audio;
}

}  // namespace

ChatMLSample single_voice_sample(const Utterance& utterance, const std::string& scene,
                                 const NameAudio& name) {
  ChatMLSample sample = generation_prompt(system_text(scene), utterance.turns.front().text, std::nullopt);
  answer_with(sample, utterance, name);
  sample.speaker = utterance.speaker();
  return sample;
}

ChatMLSample cloning_sample(const Utterance& utterance, const Utterance& reference, const std::string& scene,
                            const NameAudio& name) {
  ChatMLSample sample = generation_prompt(system_text(scene), utterance.turns.front().text,
                                          Reference{audio_of(reference, name), reference.turns.front().text});
  answer_with(sample, utterance, name);
  sample.start_index = static_cast<std::int64_t>(sample.messages.size()) - 1;
  sample.speaker = utterance.speaker();
  return sample;
}

ChatMLSample dialogue_sample(const Utterance& utterance, const std::string& scene,
                             const std::map<std::string, std::string>& descriptions, const NameAudio& name) {
  std::vector<std::string> speakers, voices;
  std::string text;
  for (const Turn& turn : utterance.turns) {
    const auto found = std::find(speakers.begin(), speakers.end(), turn.speaker);
    const auto number = found - speakers.begin();
    if (found == speakers.end()) {
      const auto description = descriptions.find(turn.speaker);
      speakers.push_back(turn.speaker);
      voices.push_back(description == descriptions.end() ? turn.speaker : description->second);
    }
    text += (text.empty() ? "" : "\n") + ("[SPEAKER" + std::to_string(number) + "] ") + turn.text;
  }
  ChatMLSample sample = generation_prompt(dialogue_system_text(scene, voices), text, std::nullopt);
  answer_with(sample, utterance, name);
  return sample;
}

std::string chatml_line(const ChatMLSample& sample) {
  OrderedJson line;
  line["messages"] = OrderedJson::array();
  for (const Message& message : sample.messages) {
    HIGGS_ASSERT(message.contents.size() == 1);
    line["messages"].push_back({{"role", message.role}, {"content", json_of(message.contents.front())}});
  }
  if (sample.start_index) line["start_index"] = *sample.start_index;
  if (sample.speaker) line["speaker"] = *sample.speaker;
  return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace higgs
