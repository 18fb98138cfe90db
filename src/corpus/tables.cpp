// Layouts with a table of recordings: LJSpeech, named columns, Hugging Face's audiofolder.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>

#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/corpus/delimited.h"
#include "higgs/corpus/plain_text.h"
#include "higgs/corpus/transcripts.h"
#include "recordings.h"

namespace higgs {
namespace {

// A row by the names of its columns.
using NamedRow = std::map<std::string, std::string>;

const std::vector<std::string>& usual_names(const std::string& flag) {
  static const std::map<std::string, std::vector<std::string>> names = {
      {"audio",
       {"file_name", "audio", "audio_path", "audio_file", "audio_filepath", "path", "file", "wav", "filename",
        "wav_path", "wav_filename", "clip"}},
      {"text",
       {"normalized_text", "text", "transcription", "transcript", "sentence", "normalized_transcription",
        "caption"}},
      {"speaker", {"speaker", "speaker_id", "speaker_name", "client_id", "spk", "voice"}},
      {"begin", {"offset", "start", "begin", "start_time"}},
      {"end", {"end", "stop", "end_time"}},
      {"duration", {"duration"}}};
  return names.at(flag);
}

// The column that a flag names, or the first with a usual name; "" when there is none.
std::string choose_column(const std::vector<std::string>& columns, const std::string& wanted,
                          const std::string& what, const std::string& name) {
  const auto refuse = [&](const std::string& missing) {
    std::string all;
    for (const std::string& column : columns) all += (all.empty() ? "" : ", ") + column.substr(0, 40);
    throw UserError(name + ": " + missing + "; its columns are: " + all.substr(0, 500));
  };
  if (!wanted.empty()) {
    if (std::find(columns.begin(), columns.end(), wanted) == columns.end()) {
      refuse("no column '" + wanted + "', which --" + what + "_column names");
    }
    return wanted;
  }
  for (const std::string& usual : usual_names(what)) {
    for (const std::string& column : columns) {
      if (lower(column) == usual) return column;
    }
  }
  if (what == "audio" || what == "text")
    refuse("no column of " + what + "; name it with --" + what + "_column");
  return "";
}

struct Columns {
  std::string audio, text, speaker, begin, end, duration;

  Columns(const std::vector<std::string>& all, const CorpusOptions& options, const std::string& name)
      : audio(choose_column(all, options.audio_column, "audio", name)),
        text(choose_column(all, options.text_column, "text", name)),
        speaker(choose_column(all, options.speaker_column, "speaker", name)),
        begin(choose_column(all, "", "begin", name)),
        end(choose_column(all, "", "end", name)),
        duration(choose_column(all, "", "duration", name)) {}
};

std::string cell(const NamedRow& row, const std::string& column) {
  const auto found = row.find(column);
  return column.empty() || found == row.end() ? "" : one_line(found->second);
}

std::optional<double> seconds_in(const NamedRow& row, const std::string& column, const std::string& where) {
  const std::string text = cell(row, column);
  if (text.empty()) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= kMaxTime)) {
    throw UserError(where + ": column '" + column + "' must be a time in seconds, not '" +
                    text.substr(0, 40) + "'");
  }
  return value;
}

NamedClip clip_of(const NamedRow& row, const Columns& columns, const fs::path& folder,
                  const CorpusOptions& options, const std::string& where) {
  NamedClip clip;
  clip.where = where;
  clip.audio = find_recording(folder, cell(row, columns.audio), where);
  clip.text = cell(row, columns.text);
  clip.speaker = options.speaker.empty() ? cell(row, columns.speaker) : options.speaker;
  if (clip.speaker.empty()) clip.speaker = kDefaultSpeaker;
  clip.offset = seconds_in(row, columns.begin, where);
  // Alone, `duration` is how long the file is, which its header says better.
  if (clip.offset) clip.duration = seconds_in(row, columns.duration, where);
  const auto end = seconds_in(row, columns.end, where);
  if (clip.offset && end && !clip.duration) clip.duration = *end - *clip.offset;
  return clip;
}

// Takes rows until `next` says that there are no more; a UserError from it is a row that can't be read.
void take_rows(const std::function<bool()>& next, const std::function<NamedClip()>& clip,
               const CorpusOptions& options, Findings& findings, std::vector<Utterance>& utterances) {
  log::Progress progress("reading recordings");
  for (std::size_t done = 1;; ++done) {
    progress(done, 0);
    try {
      if (!next()) return;
      if (auto utterance = make_utterance(clip(), options.cut, findings)) utterances.push_back(*utterance);
    } catch (const UserError& error) {
      findings.mistake(error);
    }
  }
}

void read_delimited(const fs::path& path, const CorpusOptions& options, Findings& findings,
                    std::vector<Utterance>& utterances) {
  const std::string text = read_text_file(path);
  NamedTable table(text, path.string());
  const Columns columns(table.columns(), options, path.string() + ":1");
  TableRow row;
  const auto clip = [&] {
    if (row.fields.size() != table.columns().size()) {
      throw UserError(table.where(row) + ": " + std::to_string(row.fields.size()) + " fields for " +
                      std::to_string(table.columns().size()) +
                      " columns; put texts that hold the delimiter in quotes");
    }
    NamedRow named;
    for (std::size_t i = 0; i < row.fields.size(); ++i) named.emplace(table.columns()[i], row.fields[i]);
    return clip_of(named, columns, path.parent_path(), options, table.where(row));
  };
  take_rows([&] { return table.next(row); }, clip, options, findings, utterances);
}

// A JSON line's strings and numbers by name.
NamedRow row_of_json(std::string_view line, const std::string& where) {
  const Json object = parse_json(line, where);
  if (!object.is_object()) throw UserError(where + ": must be a JSON object with the names of columns");
  NamedRow row;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) row.emplace(key, value.get<std::string>());
    if (value.is_number()) row.emplace(key, value.dump());
  }
  return row;
}

void read_jsonl(const fs::path& path, const CorpusOptions& options, Findings& findings,
                std::vector<Utterance>& utterances) {
  const std::string text = read_text_file(path);
  const std::vector<std::string_view> lines = split_lines(text);
  std::optional<Columns> columns;
  std::size_t number = 0;
  NamedRow row;
  std::string where;
  const auto next = [&] {
    while (number < lines.size() && one_line(lines[number]).empty()) ++number;
    if (number == lines.size()) return false;
    where = path.string() + ":" + std::to_string(++number);
    row = row_of_json(lines[number - 1], where);
    return true;
  };
  const auto clip = [&] {
    if (!columns) {
      std::vector<std::string> names;
      for (const auto& [key, value] : row) names.push_back(key);
      columns.emplace(names, options, where);
    }
    return clip_of(row, *columns, path.parent_path(), options, where);
  };
  take_rows(next, clip, options, findings, utterances);
}

void read_any(const fs::path& path, const CorpusOptions& options, Findings& findings,
              std::vector<Utterance>& utterances) {
  const bool is_jsonl = lower(path.extension().string()) == ".jsonl";
  (is_jsonl ? read_jsonl : read_delimited)(path, options, findings, utterances);
}

bool is_table(const fs::path& path) {
  const std::string ending = lower(path.extension().string());
  return ending == ".csv" || ending == ".tsv";
}

}  // namespace

std::vector<fs::path> metadata_files(const fs::path& folder) {
  std::vector<fs::path> found, folders = {folder};
  std::error_code ignored;
  for (const fs::path& path : list_folder(folder)) {
    if (fs::is_directory(path, ignored)) folders.push_back(path);
  }
  for (const fs::path& each : folders) {
    for (const char* name : {"metadata.csv", "metadata.jsonl"}) {
      if (fs::is_regular_file(each / name, ignored)) found.push_back(each / name);
    }
  }
  return found;
}

bool is_ljspeech(const fs::path& metadata) {
  const std::string text = read_text_file(metadata);
  const std::string_view first = std::string_view(text).substr(0, text.find_first_of("\r\n"));
  return first.find('|') != std::string_view::npos && lower(first).find("file_name") == std::string::npos;
}

std::vector<Utterance> read_ljspeech(const fs::path& folder, const CorpusOptions& options,
                                     Findings& findings) {
  const fs::path path = folder / "metadata.csv";
  const std::string text = read_text_file(path);
  DelimitedText rows(text, '|', DelimitedText::Quotes::kNone, path.string());
  std::vector<Utterance> utterances;
  TableRow row;
  const auto clip = [&] {
    const std::string where = rows.where(row);
    if (row.fields.size() != 2 && row.fields.size() != 3) {
      throw UserError(where + ": " + std::to_string(row.fields.size()) +
                      " columns; LJSpeech has id|text or id|text|normalised text");
    }
    NamedClip named;
    named.where = where;
    named.audio = find_recording(folder, one_line(row.fields[0]), where);
    named.text = one_line(row.fields.back()).empty() ? row.fields[1] : row.fields.back();
    named.speaker = options.speaker.empty() ? kDefaultSpeaker : options.speaker;
    return named;
  };
  take_rows([&] { return rows.next(row); }, clip, options, findings, utterances);
  return utterances;
}

std::vector<Utterance> read_table(const fs::path& folder, const CorpusOptions& options, Findings& findings) {
  std::vector<Utterance> utterances;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    read_any(folder, options, findings, utterances);
    return utterances;
  }
  std::vector<fs::path> tables = list_folder(folder);
  std::erase_if(tables, [](const fs::path& path) { return !is_table(path); });
  if (tables.size() != 1) {
    throw UserError(folder.string() + ": holds " + std::to_string(tables.size()) +
                    " tables (csv, tsv); name the one to read instead of its folder");
  }
  read_any(tables[0], options, findings, utterances);
  return utterances;
}

std::vector<Utterance> read_audiofolder(const fs::path& folder, const CorpusOptions& options,
                                        Findings& findings) {
  const std::vector<fs::path> files = metadata_files(folder);
  if (files.empty()) {
    throw UserError(folder.string() + ": holds no metadata.csv or metadata.jsonl, nor do the folders in it");
  }
  std::vector<Utterance> utterances;
  for (const fs::path& path : files) read_any(path, options, findings, utterances);
  return utterances;
}

}  // namespace higgs
