// Prompt forms: what stands before the audio, the same in training and generation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "higgs/data/chatml.h"

namespace higgs {

inline constexpr const char* kDefaultScene = "Audio is recorded from a quiet room.";

// The system turn: the instruction, and the scene between its marks unless it is empty.
std::string system_text(const std::string& scene);

// The same for a dialogue, as boson_multimodal's examples word it: `descriptions[i]` is the voice of
// [SPEAKERi].
std::string dialogue_system_text(const std::string& scene, const std::vector<std::string>& descriptions);

// A voice to follow: user(text), assistant(audio) before the text to be spoken.
struct Reference {
  AudioContent audio;
  std::string text;
};

// Puts user(text), assistant(audio) behind what is there.
void append_spoken(ChatMLSample& prompt, const std::string& text, const AudioContent& audio);

// system, [user(ref text), assistant(ref audio)], user(text).
ChatMLSample generation_prompt(const std::string& system, const std::string& text,
                               const std::optional<Reference>& reference);

// The same with several voices, [SPEAKERi] being that of references[i]: each reference's text begins with its
// tag, as boson_multimodal's examples have it.
ChatMLSample dialogue_prompt(const std::string& system, const std::string& text,
                             const std::vector<Reference>& references);

// The texts of a message, a space between two.
std::string text_of(const Message& message);

// A manifest line up to its last assistant turn, which is what there is to generate. UserError when it has
// none.
ChatMLSample prompt_of_sample(const ChatMLSample& sample, const std::string& where);

// Token ids of a prompt with the assistant's header and <|audio_out_bos|> behind it: the next thing is a
// frame.
TokenizedSample tokenize_prompt(const ChatMLSample& prompt, const Tokenizer& tokenizer,
                                const std::string& where);

}  // namespace higgs
