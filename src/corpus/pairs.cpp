#include "higgs/base/log.h"
#include "higgs/corpus/plain_text.h"
#include "recordings.h"

namespace higgs {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 20;  // bytes: what is said in a clip

bool beside(const fs::path& recording, const std::string& ending, fs::path& found) {
  found = recording;
  found.replace_extension(ending);
  std::error_code ignored;
  return fs::is_regular_file(found, ignored);
}

}  // namespace

fs::path find_text(const fs::path& recording) {
  fs::path found;
  // LibriTTS keeps two texts; the normalised one is what is said.
  for (const char* ending : {".normalized.txt", ".txt", ".lab"}) {
    if (beside(recording, ending, found)) return found;
  }
  return {};
}

std::vector<Utterance> read_pairs(const fs::path& folder, const CorpusOptions& options, Findings& findings) {
  std::vector<Utterance> utterances;
  const std::vector<fs::path> files = files_below(folder);
  log::Progress progress("reading recordings");
  std::size_t done = 0;
  for (const fs::path& recording : files) {
    progress(++done, files.size());
    if (!is_recording(recording)) continue;
    try {
      const fs::path text = find_text(recording);
      if (text.empty()) {
        throw UserError(recording.string() + ": no text beside it; write what it says into " +
                        recording.stem().string() + ".txt");
      }
      const NamedClip clip{recording,
                           std::nullopt,
                           std::nullopt,
                           read_text_file(text, kMaxText),
                           speaker_by_folder(recording, folder, options),
                           text.string() + ":1"};
      if (auto utterance = make_utterance(clip, options.cut, findings)) utterances.push_back(*utterance);
    } catch (const UserError& error) {
      findings.mistake(error);
    }
  }
  return utterances;
}

}  // namespace higgs
