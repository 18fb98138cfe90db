// Folders of recordings with what is said in them, in the layouts that people have, as one list of
// utterances.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "higgs/corpus/cut.h"
#include "higgs/corpus/findings.h"
#include "higgs/corpus/utterance.h"

namespace higgs {

enum class CorpusLayout {
  kPairs,        // a.wav beside a.txt, in any depth of folders
  kLjspeech,     // metadata.csv with `id|text` or `id|text|normalised text`, wavs/id.wav
  kTable,        // a CSV, TSV or JSONL file with named columns
  kAudiofolder,  // metadata.csv or .jsonl with file_name (Hugging Face), in the folder or those in it
  kSegments,     // long recordings beside .srt, .vtt, .TextGrid or Whisper's .json
};

struct CorpusOptions {
  std::string speaker;  // of every recording; "" takes column, transcript or folder
  std::string audio_column, text_column, speaker_column;  // "" knows the usual names
  std::string tier;                                       // of a TextGrid
  CutOptions cut;  // min_seconds and max_seconds hold for clips that come ready too
};

// Speaker of clips that nothing names one for.
inline constexpr const char* kDefaultSpeaker = "voice";

// "pairs", "ljspeech", ...
const char* name_of(CorpusLayout layout);
// UserError unless it is one of the names.
CorpusLayout layout_of(const std::string& name);

// Which layout a folder has; a single file is a table or a recording. UserError that says what is there when
// it is none, with the flag that tells.
CorpusLayout find_layout(const fs::path& folder);

// Every usable utterance, in the order of files and lines. Files are looked for and their headers read; what
// can't be used goes to `findings`. UserError when the folder as a whole hasn't the layout.
std::vector<Utterance> read_corpus(const fs::path& folder, CorpusLayout layout, const CorpusOptions& options,
                                   Findings& findings);

// A table with the columns speaker and description. UserError.
std::map<std::string, std::string> read_descriptions(const fs::path& table);

}  // namespace higgs
