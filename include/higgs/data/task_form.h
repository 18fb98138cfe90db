// Utterances as samples to train on: what stands before the clip is what generation will put there.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "higgs/corpus/utterance.h"
#include "higgs/data/chatml.h"

namespace higgs {

// Says how a manifest names a recording.
using NameAudio = std::function<std::string(const fs::path&)>;

// system, user(text), assistant(clip). `scene` "" is left out.
ChatMLSample single_voice_sample(const Utterance& utterance, const std::string& scene, const NameAudio& name);

// system, user(reference text), assistant(reference clip), user(text), assistant(clip), of which only the
// last turn is supervised.
ChatMLSample cloning_sample(const Utterance& utterance, const Utterance& reference, const std::string& scene,
                            const NameAudio& name);

// system with the voices, user("[SPEAKER0] ...\n[SPEAKER1] ..."), assistant(clip). Speakers are numbered as
// they come; one without a description is described by its name.
ChatMLSample dialogue_sample(const Utterance& utterance, const std::string& scene,
                             const std::map<std::string, std::string>& descriptions, const NameAudio& name);

// A manifest's line, its end included; parse_chatml() reads it back.
std::string chatml_line(const ChatMLSample& sample);

}  // namespace higgs
