// Files that say what is spoken when in a recording. Each reader returns what it could read and reports what
// it couldn't; UserError when the file as a whole is none of its kind.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "higgs/corpus/findings.h"
#include "higgs/corpus/utterance.h"

namespace higgs {

inline constexpr std::size_t kMaxTranscript = std::size_t{256} << 20;  // bytes
inline constexpr double kMaxTime = 1e7;                                // seconds: 115 days

// SubRip and WebVTT: hours optional, comma or dot, cue ids, tags and settings passed over. The speaker is a
// VTT voice (<v Name>), or "[NAME]: " before the text, as whisperX writes it.
std::vector<Segment> parse_subtitles(std::string_view text, const std::string& name, Findings& findings);

// Praat's TextGrid in its long or short form. Each interval tier is a speaker of the tier's name, unless
// there is but one; "NAME - words" is NAME's, tiers of phones are passed over. `tier`: only the one of this
// name.
std::vector<Segment> parse_text_grid(std::string_view text, const std::string& name, const std::string& tier,
                                     Findings& findings);

// JSON of openai-whisper, faster-whisper, whisperX ("segments", with "words" and "speaker" where there are),
// transformers ("chunks") and whisper.cpp ("transcription").
std::vector<Segment> parse_whisper_json(std::string_view text, const std::string& name, Findings& findings);

// By the file's ending. UserError.
std::vector<Segment> read_transcript(const fs::path& path, const std::string& tier, Findings& findings);

}  // namespace higgs
