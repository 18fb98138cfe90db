#include <cmath>
#include <limits>

#include "higgs/base/python_json.h"
#include "higgs/corpus/plain_text.h"
#include "higgs/corpus/transcripts.h"

namespace higgs {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

const Json* find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

double time_of(const Json* value) {
  if (value == nullptr || !value->is_number()) return kUnknown;
  const double seconds = value->get<double>();
  return std::abs(seconds) <= kMaxTime ? seconds : kUnknown;
}

std::string text_of(const Json& object, const char* key) {
  const Json* value = find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

std::optional<double> known(double time) {
  return std::isnan(time) ? std::nullopt : std::optional<double>(time);
}

void read_words(const Json& item, Segment& segment) {
  const Json* words = find(item, "words");
  if (words == nullptr || !words->is_array()) return;
  for (const Json& word : *words) {
    if (!word.is_object()) continue;
    std::string text = text_of(word, word.contains("word") ? "word" : "text");
    segment.words.push_back({known(time_of(find(word, "start"))), known(time_of(find(word, "end"))), text});
  }
}

// {"timestamp": [0.0, 1.5], "text": ...}; the end of the last one may be null.
void read_pair(const Json& item, const char* key, double scale, Segment& segment) {
  const Json* pair = find(item, key);
  if (pair == nullptr) return;
  if (pair->is_array() && pair->size() == 2) {
    segment.begin = time_of(&(*pair)[0]) * scale;
    segment.end = time_of(&(*pair)[1]) * scale;
  } else if (pair->is_object()) {
    segment.begin = time_of(find(*pair, "from")) * scale;
    segment.end = time_of(find(*pair, "to")) * scale;
  }
}

Segment read_segment(const Json& item) {
  Segment segment;
  segment.begin = time_of(find(item, "start"));
  segment.end = time_of(find(item, "end"));
  read_pair(item, "timestamp", 1.0, segment);  // transformers
  read_pair(item, "offsets", 1e-3, segment);   // whisper.cpp: milliseconds
  segment.text = one_line(text_of(item, "text"));
  segment.speaker = one_line(text_of(item, "speaker"));
  read_words(item, segment);
  return segment;
}

const Json& segments_of(const Json& document, const std::string& name) {
  if (document.is_array()) return document;
  if (document.is_object()) {
    for (const char* key : {"segments", "transcription", "chunks"}) {
      const Json* found = find(document, key);
      if (found != nullptr && found->is_array()) return *found;
    }
  }
  throw UserError(name +
                  ": holds no list of 'segments', so it is no transcript of Whisper's; write it with " +
                  "whisper --output_format json");
}

}  // namespace

std::vector<Segment> parse_whisper_json(std::string_view text, const std::string& name, Findings& findings) {
  const Json document = parse_python_json(text, name);
  std::vector<Segment> segments;
  std::size_t number = 0;
  for (const Json& item : segments_of(document, name)) {
    const std::string where = name + ": segment " + std::to_string(++number);
    if (!item.is_object()) {
      findings.mistake(where + ": must be an object with start, end and text");
      continue;
    }
    Segment segment = read_segment(item);
    segment.where = where;
    if (std::isnan(segment.begin) || std::isnan(segment.end)) {
      findings.mistake(where + ": its start or end is no time in seconds; transcribe it again");
      continue;
    }
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::vector<Segment> read_transcript(const fs::path& path, const std::string& tier, Findings& findings) {
  const std::string text = read_text_file(path, kMaxTranscript);
  const std::string kind = lower(path.extension().string());
  if (kind == ".json") return parse_whisper_json(text, path.string(), findings);
  if (kind == ".textgrid") return parse_text_grid(text, path.string(), tier, findings);
  return parse_subtitles(text, path.string(), findings);
}

}  // namespace higgs
