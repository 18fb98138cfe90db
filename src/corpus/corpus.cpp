#include "higgs/corpus/corpus.h"

#include <algorithm>

#include "higgs/corpus/delimited.h"
#include "higgs/corpus/plain_text.h"
#include "recordings.h"

namespace higgs {
namespace {

struct Entry {
  CorpusLayout layout;
  const char* name;
  std::vector<Utterance> (*read)(const fs::path&, const CorpusOptions&, Findings&);
};
constexpr Entry kLayouts[] = {{CorpusLayout::kPairs, "pairs", read_pairs},
                              {CorpusLayout::kLjspeech, "ljspeech", read_ljspeech},
                              {CorpusLayout::kTable, "table", read_table},
                              {CorpusLayout::kAudiofolder, "audiofolder", read_audiofolder},
                              {CorpusLayout::kSegments, "segments", read_segments}};

const Entry& entry_of(CorpusLayout layout) {
  return *std::find_if(std::begin(kLayouts), std::end(kLayouts),
                       [&](const Entry& entry) { return entry.layout == layout; });
}

CorpusLayout layout_of_file(const fs::path& file) {
  const std::string ending = lower(file.extension().string());
  if (ending == ".csv" || ending == ".tsv" || ending == ".jsonl") return CorpusLayout::kTable;
  if (is_recording(file)) return CorpusLayout::kSegments;
  throw UserError(file.string() + ": is neither a folder, nor a table (csv, tsv, jsonl), nor a recording");
}

}  // namespace

const char* name_of(CorpusLayout layout) {
  return entry_of(layout).name;
}

CorpusLayout layout_of(const std::string& name) {
  for (const Entry& entry : kLayouts) {
    if (name == entry.name) return entry.layout;
  }
  throw UserError("'" + name + "' is no layout");
}

CorpusLayout find_layout(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) throw UserError(folder.string() + ": no such folder or file");
  if (!fs::is_directory(folder, ignored)) return layout_of_file(folder);
  if (fs::is_regular_file(folder / "metadata.csv", ignored) && is_ljspeech(folder / "metadata.csv")) {
    return CorpusLayout::kLjspeech;
  }
  if (!metadata_files(folder).empty()) return CorpusLayout::kAudiofolder;
  std::size_t num_recordings = 0, num_texts = 0, num_tables = 0;
  for (const fs::path& path : files_below(folder)) {
    const std::string ending = lower(path.extension().string());
    if ((ending == ".csv" || ending == ".tsv") && path.parent_path() == folder) ++num_tables;
    if (!is_recording(path)) continue;
    if (!find_transcript(path).empty()) return CorpusLayout::kSegments;
    ++num_recordings;
    if (!find_text(path).empty()) ++num_texts;
  }
  if (num_texts > 0) return CorpusLayout::kPairs;
  if (num_tables == 1) return CorpusLayout::kTable;
  throw UserError(folder.string() + ": " + std::to_string(num_recordings) + " recordings, " +
                  std::to_string(num_tables) + " tables, and no text or transcript beside a recording; " +
                  "docs/data.md shows the layouts that are read, --layout names one");
}

std::vector<Utterance> read_corpus(const fs::path& folder, CorpusLayout layout, const CorpusOptions& options,
                                   Findings& findings) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) throw UserError(folder.string() + ": no such folder or file");
  const bool is_folder = fs::is_directory(folder, ignored);
  if (!is_folder && layout != CorpusLayout::kTable && layout != CorpusLayout::kSegments) {
    throw UserError(folder.string() + ": is a file; --layout " + name_of(layout) + " reads a folder");
  }
  return entry_of(layout).read(folder, options, findings);
}

std::map<std::string, std::string> read_descriptions(const fs::path& path) {
  const std::string text = read_text_file(path);
  NamedTable table(text, path.string());
  const std::vector<std::string>& columns = table.columns();
  const auto find = [&](const char* name) {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const std::string& column) { return lower(column) == name; });
    if (found == columns.end()) throw UserError(path.string() + ":1: no column '" + name + "'");
    return static_cast<std::size_t>(found - columns.begin());
  };
  const std::size_t speaker = find("speaker"), description = find("description");
  std::map<std::string, std::string> descriptions;
  for (TableRow row; table.next(row);) {
    if (row.fields.size() != columns.size()) {
      throw UserError(table.where(row) + ": " + std::to_string(row.fields.size()) + " fields for " +
                      std::to_string(columns.size()) +
                      " columns; put texts that hold the delimiter in quotes");
    }
    descriptions[one_line(row.fields[speaker])] = one_line(row.fields[description]);
  }
  return descriptions;
}

}  // namespace higgs
