// Who speaks a text of `generate`: one voice, or the speakers of a dialogue.
#pragma once

#include <string>
#include <vector>

#include "higgs/data/chatml.h"

namespace higgs {

struct Voices {
  std::vector<std::string> ref_audio, ref_text;  // of one voice, or of each speaker
  std::vector<std::string> descriptions;         // of each speaker, instead
  std::string scene;
};

// The value of --speakers: "a man; a woman".
std::vector<std::string> voices_in_words(const std::string& speakers);

// UserError for references without their texts, for both kinds of voices at once, and for any beside a
// manifest, which has its own.
void check_voices(const Voices& voices, bool with_manifest);

// The prompt for a text. Its system turn is `system` unless that is null; else that of one voice, and for
// speakers in words, or two and more without any voice (then feminine and masculine in turn, as
// boson_multimodal's example has it), that of dialogues in training. UserError, `where` in front, for a tag
// without its voice.
ChatMLSample voiced_prompt(const Voices& voices, const std::string& text, const std::string* system,
                           const std::string& where);

}  // namespace higgs
