// Recordings as files, and the clips made of them: what the readers of layouts share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "higgs/corpus/corpus.h"

namespace higgs {

// Every file of a folder and the folders in it, sorted, without hidden ones. UserError.
std::vector<fs::path> files_below(const fs::path& folder);

// By its ending: wav, flac, ogg, opus, mp3, or another kind of sound, which is refused when it is read.
bool is_recording(const fs::path& path);

// The recording that a table names: a path from the folder or from its wavs, clips or audio, with or without
// its ending. UserError, `where` in front, when there is none.
fs::path find_recording(const fs::path& folder, const std::string& name, const std::string& where);

// Who speaks where nothing says: --speaker, else the outermost folder that the recording lies in, as the
// recordings of several people are kept, else kDefaultSpeaker.
std::string speaker_by_folder(const fs::path& recording, const fs::path& folder,
                              const CorpusOptions& options);

// A clip as a layout names it.
struct NamedClip {
  fs::path audio;
  std::optional<double> offset, duration;
  std::string text, speaker;
  std::string where;
};

// Header read, text brought to one line. UserError for a clip that can't be used; nothing, with the reason in
// `findings`, for one that is shorter or longer than wanted.
std::optional<Utterance> make_utterance(const NamedClip& clip, const CutOptions& limits, Findings& findings);

// The readers of read_corpus().
std::vector<Utterance> read_pairs(const fs::path& folder, const CorpusOptions& options, Findings& findings);
std::vector<Utterance> read_ljspeech(const fs::path& folder, const CorpusOptions& options,
                                     Findings& findings);
std::vector<Utterance> read_table(const fs::path& folder, const CorpusOptions& options, Findings& findings);
std::vector<Utterance> read_audiofolder(const fs::path& folder, const CorpusOptions& options,
                                        Findings& findings);
std::vector<Utterance> read_segments(const fs::path& folder, const CorpusOptions& options,
                                     Findings& findings);

// The transcript beside a recording: its name with the ending changed or added. "" when there is none.
fs::path find_transcript(const fs::path& recording);
// The same of a pair's text.
fs::path find_text(const fs::path& recording);
// metadata.csv and metadata.jsonl in a folder and in those in it.
std::vector<fs::path> metadata_files(const fs::path& folder);
// Whether a metadata.csv is LJSpeech's: bars between the columns, and no row of names.
bool is_ljspeech(const fs::path& metadata);

}  // namespace higgs
