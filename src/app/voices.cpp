#include "voices.h"

#include <optional>

#include "higgs/base/error.h"
#include "higgs/corpus/plain_text.h"
#include "higgs/data/prompt.h"
#include "higgs/text/chunks.h"

namespace higgs {
namespace {

std::string times(std::size_t count) {
  return count == 1 ? "once" : std::to_string(count) + " times";
}

// Every tag needs its voice where voices are named at all.
void check_tags(const Voices& voices, std::size_t num_tagged, const std::string& where) {
  const std::size_t num_voices = std::max(voices.ref_audio.size(), voices.descriptions.size());
  if (num_voices == 0 || num_tagged <= std::max<std::size_t>(num_voices, 1)) return;
  const std::string tag = "[SPEAKER" + std::to_string(num_tagged - 1) + "]";
  throw UserError(where + ": has the tag " + tag + ", and there " +
                  (num_voices == 1 ? "is 1 voice" : "are " + std::to_string(num_voices) + " voices") +
                  "; speakers count from 0: " +
                  (voices.descriptions.empty() ? "give --ref_audio and --ref_text for each"
                                               : "describe each in --speakers, a ';' between two"));
}

}  // namespace

std::vector<std::string> voices_in_words(const std::string& speakers) {
  std::vector<std::string> descriptions;
  for (std::size_t begin = 0; !speakers.empty() && begin <= speakers.size();) {
    const std::size_t end = std::min(speakers.find(';', begin), speakers.size());
    descriptions.push_back(one_line(std::string_view(speakers).substr(begin, end - begin)));
    begin = end + 1;
  }
  return descriptions;
}

void check_voices(const Voices& voices, bool with_manifest) {
  const std::size_t audios = voices.ref_audio.size(), texts = voices.ref_text.size();
  if (audios > 0 && texts == 0) throw UserError("--ref_audio needs --ref_text: what is said in the clip");
  if (audios < texts && audios == 0)
    throw UserError("--ref_text needs --ref_audio: the clip in which it is said");
  if (audios != texts) {
    throw UserError("--ref_audio is given " + times(audios) + ", --ref_text " + times(texts) +
                    "; give one text for each clip, in the same order");
  }
  for (std::size_t i = 0; i < voices.descriptions.size(); ++i) {
    if (voices.descriptions[i].empty()) {
      throw UserError("--speakers: SPEAKER" + std::to_string(i) +
                      " has no description; write --speakers \"a deep male voice; a young woman\"");
    }
  }
  if (!voices.descriptions.empty() && audios > 0) {
    throw UserError("--speakers and --ref_audio: give one of them; clips say what voices are like");
  }
  if (with_manifest && !voices.descriptions.empty()) {
    throw UserError(
        "--speakers goes with --text and --text_file; a manifest's lines have system turns of their own");
  }
}

ChatMLSample voiced_prompt(const Voices& voices, const std::string& text, const std::string* system,
                           const std::string& where) {
  const std::size_t num_tagged = num_speakers(text);
  check_tags(voices, num_tagged, where);
  std::vector<Reference> references;
  for (std::size_t i = 0; i < voices.ref_audio.size(); ++i) {
    references.push_back({});
    references.back().audio.audio_url = voices.ref_audio[i];
    references.back().text = voices.ref_text[i];
  }
  std::vector<std::string> descriptions = voices.descriptions;
  if (descriptions.empty() && references.empty() && num_tagged > 1) {
    for (std::size_t i = 0; i < num_tagged; ++i)
      descriptions.push_back(i % 2 == 0 ? "feminine" : "masculine");
  }
  const std::string turn = system != nullptr      ? *system
                           : descriptions.empty() ? system_text(voices.scene)
                                                  : dialogue_system_text(voices.scene, descriptions);
  if (references.size() > 1) return dialogue_prompt(turn, text, references);
  return generation_prompt(turn, text, references.empty() ? std::nullopt : std::optional(references.front()));
}

}  // namespace higgs
