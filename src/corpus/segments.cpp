// Long recordings with transcripts beside them.
#include <cmath>
#include <optional>

#include "higgs/audio/waveform.h"
#include "higgs/base/log.h"
#include "higgs/corpus/loudness.h"
#include "higgs/corpus/transcripts.h"
#include "recordings.h"

namespace higgs {
namespace {

// "SPEAKER_00": a number that a diariser gives anew in each recording.
bool is_numbered(const std::string& speaker) {
  constexpr std::string_view kBegin = "SPEAKER";
  return speaker.starts_with(kBegin) &&
         speaker.find_first_not_of("_0123456789", kBegin.size()) == std::string::npos;
}

void name_speakers(std::vector<Segment>& segments, const fs::path& recording, const fs::path& folder,
                   const CorpusOptions& options) {
  const std::string otherwise = speaker_by_folder(recording, folder, options);
  for (Segment& segment : segments) {
    if (!options.speaker.empty() || segment.speaker.empty()) {
      segment.speaker = otherwise;
    } else if (is_numbered(segment.speaker)) {
      segment.speaker = recording.stem().string() + "/" + segment.speaker;
    }
  }
}

std::vector<Utterance> cut_recording(const fs::path& recording, const fs::path& folder,
                                     const CorpusOptions& options, Findings& findings) {
  const fs::path transcript = find_transcript(recording);
  if (transcript.empty()) {
    throw UserError(recording.string() +
                    ": no transcript beside it (.json of Whisper, .TextGrid, .vtt, .srt); " +
                    "docs/data.md says how to get one");
  }
  const std::string where = transcript.string() + ":1";
  const double seconds = probe_audio_file(recording, where).seconds;
  std::vector<Segment> segments = read_transcript(transcript, options.tier, findings);
  name_speakers(segments, recording, folder, options);
  // Most transcripts need no look at the sound.
  std::optional<Loudness> loudness;
  const FindQuiet find_quiet = [&](double begin, double end) {
    if (!loudness) loudness.emplace(recording, seconds, where);
    return loudness->quietest(begin, end);
  };
  std::vector<Utterance> utterances;
  for (Piece& piece : cut_at_pauses(segments, seconds, options.cut, find_quiet, findings)) {
    const double duration = std::round((piece.end - piece.begin) * 1000.0) / 1000.0;
    utterances.push_back({recording, piece.begin, duration, duration, std::move(piece.turns), piece.where});
  }
  return utterances;
}

}  // namespace

fs::path find_transcript(const fs::path& recording) {
  std::error_code ignored;
  // Those that may have the times of words first.
  for (const char* ending : {".json", ".TextGrid", ".textgrid", ".vtt", ".srt"}) {
    fs::path changed = recording;
    changed.replace_extension(ending);
    if (fs::is_regular_file(changed, ignored)) return changed;
    const fs::path added = recording.string() + ending;
    if (fs::is_regular_file(added, ignored)) return added;
  }
  return {};
}

std::vector<Utterance> read_segments(const fs::path& folder, const CorpusOptions& options,
                                     Findings& findings) {
  std::error_code ignored;
  std::vector<fs::path> files = {folder};
  const bool is_folder = fs::is_directory(folder, ignored);
  if (is_folder) files = files_below(folder);
  const fs::path root = is_folder ? folder : folder.parent_path();
  std::vector<Utterance> utterances;
  log::Progress progress("reading recordings");
  std::size_t done = 0;
  for (const fs::path& recording : files) {
    progress(++done, files.size());
    if (!is_recording(recording)) continue;
    try {
      for (Utterance& utterance : cut_recording(recording, root, options, findings)) {
        utterances.push_back(std::move(utterance));
      }
    } catch (const UserError& error) {
      findings.mistake(error);
    }
  }
  return utterances;
}

}  // namespace higgs
