#include "higgs/data/prompt.h"

#include "higgs/base/error.h"

namespace higgs {
namespace {

Message text_message(const std::string& role, const std::string& text) {
  Message message;
  message.role = role;
  message.contents.emplace_back();
  message.contents.back().text = text;
  return message;
}

std::string with_scene(const std::string& instruction, const std::string& scene) {
  if (scene.empty()) return instruction;
  return instruction + "\n\n<|scene_desc_start|>\n" + scene + "\n<|scene_desc_end|>";
}

}  // namespace

std::string system_text(const std::string& scene) {
  return with_scene("Generate audio following instruction.", scene);
}

std::string dialogue_system_text(const std::string& scene, const std::vector<std::string>& descriptions) {
  std::string voices;
  for (std::size_t i = 0; i < descriptions.size(); ++i) {
    voices += (i == 0 ? "SPEAKER" : "\nSPEAKER") + std::to_string(i) + ": " + descriptions[i];
  }
  return with_scene(
      "You are an AI assistant designed to convert text into speech.\n"
      "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the "
      "following text, using the specified voice.\n"
      "If no speaker tag is present, select a suitable voice on your own.",
      scene + (scene.empty() || voices.empty() ? "" : "\n\n") + voices);
}

void append_spoken(ChatMLSample& prompt, const std::string& text, const AudioContent& audio) {
  prompt.messages.push_back(text_message("user", text));
  Message spoken;
  spoken.role = "assistant";
  spoken.contents.emplace_back();
  spoken.contents.back().audio = audio;
  prompt.messages.push_back(std::move(spoken));
}

ChatMLSample generation_prompt(const std::string& system, const std::string& text,
                               const std::optional<Reference>& reference) {
  ChatMLSample prompt;
  if (!system.empty()) prompt.messages.push_back(text_message("system", system));
  if (reference) append_spoken(prompt, reference->text, reference->audio);
  prompt.messages.push_back(text_message("user", text));
  return prompt;
}

ChatMLSample dialogue_prompt(const std::string& system, const std::string& text,
                             const std::vector<Reference>& references) {
  ChatMLSample prompt;
  if (!system.empty()) prompt.messages.push_back(text_message("system", system));
  for (std::size_t i = 0; i < references.size(); ++i) {
    append_spoken(prompt, "[SPEAKER" + std::to_string(i) + "] " + references[i].text, references[i].audio);
  }
  prompt.messages.push_back(text_message("user", text));
  return prompt;
}

std::string text_of(const Message& message) {
  std::string text;
  for (const Content& content : message.contents) {
    if (!content.audio && !content.dropped) text += (text.empty() ? "" : " ") + content.text;
  }
  return text;
}

ChatMLSample prompt_of_sample(const ChatMLSample& sample, const std::string& where) {
  ChatMLSample prompt = sample;
  while (!prompt.messages.empty() && prompt.messages.back().role != "assistant") prompt.messages.pop_back();
  if (prompt.messages.empty()) throw UserError(where + ": has no assistant turn to generate");
  prompt.messages.pop_back();
  return prompt;
}

TokenizedSample tokenize_prompt(const ChatMLSample& prompt, const Tokenizer& tokenizer,
                                const std::string& where) {
  // An empty turn of the assistant, less its end: whatever stands before it is encoded as in training.
  ChatMLSample opened = prompt;
  opened.messages.emplace_back();
  opened.messages.back().role = "assistant";
  TokenizedSample tokens = tokenize(opened, tokenizer, where);
  tokens.input_ids.resize(tokens.input_ids.size() - tokenizer.encode("<|eot_id|>").size());
  tokens.input_ids.push_back(tokenizer.id_of("<|audio_out_bos|>"));
  tokens.label_ids.assign(tokens.input_ids.size(), kIgnore);
  return tokens;
}

}  // namespace higgs
