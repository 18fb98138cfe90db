#include "recordings.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "higgs/audio/waveform.h"
#include "higgs/corpus/plain_text.h"

namespace higgs {
namespace {

constexpr const char* kRead[] = {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus"};
constexpr double kOffsetSlack = 0.1;  // a range may end this much past its clip, as where clips are read

bool is_read(const std::string& ending) {
  return std::any_of(std::begin(kRead), std::end(kRead), [&](const char* known) { return ending == known; });
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || name == "__MACOSX";
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (is_hidden(entry->path())) {
      if (entry->is_directory(ignored)) entry.disable_recursion_pending();
    } else if (entry->is_regular_file(ignored)) {
      files.push_back(entry->path());
    }
  }
  if (error) throw UserError(folder.string() + ": cannot be listed: " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_recording(const fs::path& path) {
  static const std::set<std::string> others = {".m4a", ".aac",  ".wma", ".mp4", ".webm",
                                               ".aif", ".aiff", ".amr", ".mkv", ".mov"};
  const std::string ending = lower(path.extension().string());
  return is_read(ending) || others.count(ending) != 0;
}

fs::path find_recording(const fs::path& folder, const std::string& name, const std::string& where) {
  if (name.empty()) throw UserError(where + ": names no recording; fill in the column, or remove the row");
  if (name.find("://") != std::string::npos) {
    throw UserError(where + ": '" + name + "' is not a local file; download the recording first");
  }
  for (const char* inside : {"", "wavs", "clips", "audio", "wav"}) {
    const fs::path path = folder / inside / name;
    if (is_file(path)) return path;
    for (const char* ending : kRead) {
      const fs::path with_ending = path.string() + ending;
      if (is_file(with_ending)) return with_ending;
    }
  }
  throw UserError(where + ": " + (folder / name).string() +
                  ": no such recording (nor in wavs/, clips/ or audio/ beside the table); correct the name");
}

std::string speaker_by_folder(const fs::path& recording, const fs::path& folder,
                              const CorpusOptions& options) {
  if (!options.speaker.empty()) return options.speaker;
  const fs::path relative = recording.lexically_relative(folder);
  return relative.has_parent_path() ? relative.begin()->string() : kDefaultSpeaker;
}

std::optional<Utterance> make_utterance(const NamedClip& clip, const CutOptions& limits, Findings& findings) {
  Utterance utterance{clip.audio, clip.offset, clip.duration, 0.0, {}, clip.where};
  utterance.turns.push_back({clip.speaker, one_line(clip.text)});
  if (utterance.turns[0].text.empty()) {
    throw UserError(clip.where + ": no text for " + clip.audio.string() +
                    "; write down what it says, or remove it");
  }
  const std::string ending = lower(clip.audio.extension().string());
  if (!is_read(ending)) {
    throw UserError(clip.where + ": " + clip.audio.string() +
                    ": wav, flac, ogg and mp3 are read; convert it: ffmpeg -i IN OUT.wav");
  }
  const double seconds = probe_audio_file(clip.audio, clip.where).seconds;
  const double offset = clip.offset.value_or(0.0);
  utterance.seconds = clip.duration.value_or(seconds - offset);
  if (!(offset >= 0.0 && utterance.seconds > 0.0 && offset + utterance.seconds <= seconds + kOffsetSlack)) {
    throw UserError(clip.where + ": " + clip.audio.string() +
                    ": begin and end aren't in the recording, which has " + std::to_string(seconds) +
                    " s; correct them");
  }
  if (utterance.seconds < limits.min_seconds) {
    findings.leave_out("shorter than --min_seconds");
    return std::nullopt;
  }
  if (utterance.seconds > limits.max_seconds) {
    findings.leave_out("longer than --max_seconds");
    return std::nullopt;
  }
  return utterance;
}

}  // namespace higgs
