// `prepare`: recordings and their texts -> train.jsonl and val.jsonl.
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/corpus/corpus.h"
#include "higgs/corpus/split.h"
#include "higgs/data/prompt.h"
#include "higgs/data/task_form.h"

namespace higgs {
namespace {

// Of clips that come ready, what is shorter can hardly hold a word.
constexpr double kLeastOfClips = 0.5, kLeastOfSegments = 3.0;

struct PrepareOptions {
  std::string out, layout = "auto", form = "single", scene = kDefaultScene, descriptions, config;
  CorpusOptions corpus;
  double val_split = 0.05;
  std::int64_t val_speakers = 0, seed = 0;
  bool skip_bad_samples = false, overwrite = false, print_config = false;

  FlagTable table() {
    corpus.cut.min_seconds = 0.0;
    FlagTable t;
    t.section("Recordings and result");
    t.add("out", out, "folder for train.jsonl and val.jsonl; it may be that of the recordings").require();
    t.add("layout", layout, "how recordings and texts lie (docs/data.md); auto: as found")
        .choose({"auto", "pairs", "ljspeech", "table", "audiofolder", "segments"});
    t.section("Samples");
    t.add("form", form, "what a sample trains: a voice; following a reference clip; several voices in a clip")
        .choose({"single", "clone", "dialogue"});
    t.add("scene", scene, "scene in the system turn; '' leaves it out");
    t.section("Speakers and columns");
    t.add("speaker", corpus.speaker, "name of who speaks, everywhere; default: column, transcript or folder");
    t.add("speaker_descriptions", descriptions,
          "table with the columns speaker and description (dialogue); default: the speakers' names");
    t.add("audio_column", corpus.audio_column, "of a table; default: file_name, audio, path, ...");
    t.add("text_column", corpus.text_column, "of a table; default: text, transcription, sentence, ...");
    t.add("speaker_column", corpus.speaker_column,
          "of a table; default: speaker, speaker_id, ... if there is one");
    t.add("tier", corpus.tier, "of a TextGrid; default: each interval tier is a speaker");
    t.section("Clips");
    t.add("min_seconds", corpus.cut.min_seconds,
          "segments are merged up to it, shorter clips left out; 0: 3 for segments, 0.5 for clips")
        .range(0.0, 3600.0);
    t.add("max_seconds", corpus.cut.max_seconds, "segments are cut down to it, longer clips left out")
        .range(0.5, 3600.0);
    t.add("max_pause", corpus.cut.max_pause, "longest silence between segments that are merged").range(0.0);
    t.section("Training and validation");
    t.add("val_split", val_split, "share of the clips for val.jsonl; 0: none").range(0.0, 0.9);
    t.add("val_speakers", val_speakers, "hold out so many speakers instead; 0: none").range(0);
    t.add("seed", seed, "of the split and the reference clips").range(0);
    t.section("What is wrong or there already");
    t.add("skip_bad_samples", skip_bad_samples, "leave out what can't be used instead of stopping");
    t.add("overwrite", overwrite, "replace manifests that are there");
    t.section("Settings and help");
    t.add("config", config, "TOML file with these settings; flags beat it");
    t.add("print_config", print_config, "print the settings as TOML and end");
    return t;
  }
};

Findings make_findings() {
  return Findings([](Findings::Kind kind, const std::string& line) {
    kind == Findings::Kind::kMistake ? log::error(line) : log::warn(line + "; left out");
  });
}

// Where the manifests go.
struct Manifests {
  fs::path folder, train, val;

  explicit Manifests(const fs::path& out) : folder(out), train(out / "train.jsonl"), val(out / "val.jsonl") {}

  void check(bool overwrite) const {
    check_can_hold_files(folder, "--out");
    for (const fs::path& path : {train, val}) {
      std::error_code ignored;
      if (!overwrite && fs::exists(fs::symlink_status(path, ignored))) {
        throw UserError("--out " + folder.string() + ": " + path.filename().string() +
                        " is there already; give another folder, or --overwrite");
      }
    }
  }

  // Both or, when writing fails where none was before, neither.
  void write(const std::string& train_lines, const std::string& val_lines, bool overwrite) const {
    std::error_code ignored;
    try {
      if (!val_lines.empty()) write_file_atomically(val, val_lines);
      write_file_atomically(train, train_lines);
    } catch (...) {
      if (!overwrite) fs::remove(val, ignored);
      throw;
    }
    if (val_lines.empty()) fs::remove(val, ignored);  // of an earlier time
  }
};

// Recordings as the manifests name them: from their folder. Links are followed on both sides, since ".." of a
// linked folder is somewhere else.
class RelativeNames {
 public:
  explicit RelativeNames(const fs::path& folder) : folder_(fs::weakly_canonical(fs::absolute(folder))) {}
  std::string operator()(const fs::path& recording) const {
    const fs::path whole = fs::canonical(fs::absolute(recording).parent_path()) / recording.filename();
    const fs::path relative = whole.lexically_relative(folder_);
    return (relative.empty() ? whole : relative).generic_string();
  }

 private:
  fs::path folder_;
};

// A tokenizer would take such a text for a special token.
bool holds_special_token(const Utterance& utterance) {
  return std::any_of(utterance.turns.begin(), utterance.turns.end(), [](const Turn& turn) {
    const std::size_t begin = turn.text.find("<|");
    return begin != std::string::npos && turn.text.find("|>", begin) != std::string::npos;
  });
}

void drop_unusable(std::vector<Utterance>& utterances, bool wants_dialogue, Findings& findings) {
  std::erase_if(utterances, [&](const Utterance& utterance) {
    if (holds_special_token(utterance)) {
      findings.mistake(utterance.where + ": the text holds <|...|>, which is a special token; take it out");
      return true;
    }
    if (wants_dialogue && utterance.turns.size() < 2) {
      findings.leave_out("one speaker alone (--form single or clone takes them)");
      return true;
    }
    return false;
  });
}

std::vector<Utterance> read_utterances(const fs::path& folder, PrepareOptions& options, Findings& findings) {
  const bool is_dialogue = options.form == "dialogue";
  const CorpusLayout layout = options.layout == "auto" ? find_layout(folder) : layout_of(options.layout);
  const bool is_cut = layout == CorpusLayout::kSegments;
  if (is_dialogue && !is_cut) {
    throw UserError("--form dialogue needs long recordings with transcripts that name the speakers; " +
                    folder.string() + " is read as '" + name_of(layout) +
                    "', whose clips have one speaker each");
  }
  CutOptions& cut = options.corpus.cut;
  cut.across_speakers = is_dialogue;
  if (cut.min_seconds == 0.0) {
    cut.min_seconds = std::min(is_cut ? kLeastOfSegments : kLeastOfClips, cut.max_seconds);
  }
  if (cut.min_seconds > cut.max_seconds) throw UserError("--min_seconds must not be more than --max_seconds");
  log::info(folder.string() + ": read as layout '" + name_of(layout) + "'");
  std::vector<Utterance> utterances = read_corpus(folder, layout, options.corpus, findings);
  drop_unusable(utterances, is_dialogue, findings);
  return utterances;
}

std::string left_out_text(const Findings& findings) {
  std::string text;
  for (const auto& [reason, count] : findings.left_out()) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + reason;
  }
  return text;
}

void check_found(const std::vector<Utterance>& utterances, const fs::path& folder,
                 const PrepareOptions& options, const Findings& findings) {
  const std::size_t mistakes = findings.num_mistakes();
  const std::string count = std::to_string(mistakes) + (mistakes == 1 ? " mistake" : " mistakes");
  if (mistakes > 0 && !options.skip_bad_samples) {
    throw UserError(folder.string() + ": " + count +
                    ", each named above; mend them, or leave them out with "
                    "--skip_bad_samples; nothing was written");
  }
  if (utterances.empty()) {
    throw UserError(folder.string() + ": holds no usable clip: " + count +
                    (findings.left_out().empty() ? "" : "; left out: " + left_out_text(findings)));
  }
}

// One sample for each utterance of a side, as text.
class Writer {
 public:
  Writer(const std::vector<Utterance>& utterances, const PrepareOptions& options)
      : utterances_(utterances), options_(options), name_(RelativeNames(options.out)) {
    if (!options.descriptions.empty()) descriptions_ = read_descriptions(options.descriptions);
  }

  std::string lines(Side side, const Split& split) {
    std::string text;
    std::vector<std::optional<std::size_t>> references;
    if (options_.form == "clone") {
      references = draw_references(utterances_, split, static_cast<std::uint64_t>(options_.seed));
    }
    for (std::size_t i = 0; i < utterances_.size(); ++i) {
      if (split.sides[i] != side) continue;
      const Utterance& utterance = utterances_[i];
      if (options_.form == "clone" && !references[i]) {
        ++without_reference_[utterance.speaker()];
        continue;
      }
      const Utterance* reference = options_.form == "clone" ? &utterances_[*references[i]] : nullptr;
      text += chatml_line(sample_of(utterance, reference));
      count(utterance);
    }
    return text;
  }

  // Clips by speakers whose other clips are none, or no reference.
  const std::map<std::string, std::size_t>& without_reference() const { return without_reference_; }

  std::string summary() const {
    std::string bands;
    for (std::size_t i = 0; i < bands_.size(); ++i) {
      if (bands_[i] == 0) continue;
      bands += (bands.empty() ? "" : ", ") + std::string(kBandNames[i]) + " s: " + std::to_string(bands_[i]);
    }
    return std::to_string(num_samples_) + (num_samples_ == 1 ? " clip, " : " clips, ") +
           log::duration_text(seconds_) + " of sound, " + std::to_string(speakers_.size()) +
           (speakers_.size() == 1 ? " speaker; " : " speakers; ") + bands;
  }

 private:
  static constexpr std::array<double, 6> kBandEnds = {1, 3, 5, 10, 15, 20};
  static constexpr std::array<const char*, 7> kBandNames = {"under 1", "1-3",   "3-5",    "5-10",
                                                            "10-15",   "15-20", "over 20"};

  ChatMLSample sample_of(const Utterance& utterance, const Utterance* reference) const {
    if (reference != nullptr) return cloning_sample(utterance, *reference, options_.scene, name_);
    if (options_.form == "dialogue") return dialogue_sample(utterance, options_.scene, descriptions_, name_);
    return single_voice_sample(utterance, options_.scene, name_);
  }

  void count(const Utterance& utterance) {
    ++num_samples_;
    seconds_ += utterance.seconds;
    const auto band =
        std::upper_bound(kBandEnds.begin(), kBandEnds.end(), utterance.seconds) - kBandEnds.begin();
    ++bands_[static_cast<std::size_t>(band)];
    for (const Turn& turn : utterance.turns) speakers_.insert(turn.speaker);
  }

  const std::vector<Utterance>& utterances_;
  const PrepareOptions& options_;
  NameAudio name_;
  std::map<std::string, std::string> descriptions_;
  std::map<std::string, std::size_t> without_reference_;
  std::size_t num_samples_ = 0;
  double seconds_ = 0.0;
  std::set<std::string> speakers_;
  std::array<std::size_t, 7> bands_{};
};

void leave_out_without_reference(const Writer& writer, Findings& findings) {
  for (const auto& [speaker, count] : writer.without_reference()) {
    findings.leave_out("speakers with too little for a reference",
                       "speaker '" + speaker + "': " + std::to_string(count) +
                           (count == 1 ? " clip" : " clips") +
                           " without another of 3 to 15 s beside it to be its reference; record more, or "
                           "use --form single");
  }
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

void say_what_was_done(const Manifests& manifests, const Writer& writer, const Findings& findings,
                       const std::string& train, const std::string& val) {
  log::info(writer.summary());
  if (findings.num_mistakes() > 0) log::info(std::to_string(findings.num_mistakes()) + " mistakes skipped");
  if (!findings.left_out().empty()) log::info("left out: " + left_out_text(findings));
  log::info(manifests.train.string() + ": " + std::to_string(count_lines(train)) + " samples");
  const std::string val_flag = val.empty() ? " --val_split 0" : " --val_manifest " + manifests.val.string();
  if (!val.empty()) log::info(manifests.val.string() + ": " + std::to_string(count_lines(val)) + " samples");
  log::info("next: higgs_train check " + manifests.train.string());
  log::info("then: higgs_train train --train_manifest " + manifests.train.string() + val_flag +
            " --base_ckpt bosonai/higgs-audio-v2-generation-3B-base --output_dir OUT");
}

int prepare(const fs::path& folder, PrepareOptions& options) {
  const Manifests manifests(options.out);
  manifests.check(options.overwrite);
  Findings findings = make_findings();
  const std::vector<Utterance> utterances = read_utterances(folder, options, findings);
  check_found(utterances, folder, options, findings);
  HoldOutOptions wanted;
  wanted.val_split = options.val_split;
  wanted.val_speakers = static_cast<std::size_t>(options.val_speakers);
  wanted.seed = static_cast<std::uint64_t>(options.seed);
  wanted.for_cloning = options.form == "clone";
  const Split split = split_utterances(utterances, wanted, findings);
  Writer writer(utterances, options);
  const std::string train = writer.lines(Side::kTrain, split), val = writer.lines(Side::kVal, split);
  leave_out_without_reference(writer, findings);
  if (train.empty())
    throw UserError(folder.string() + ": nothing is left to train on: " + left_out_text(findings));
  make_writable_folder(manifests.folder);
  manifests.write(train, val, options.overwrite);
  if (val.empty() && (options.val_split > 0.0 || options.val_speakers > 0)) {
    log::warn("there is too little to hold out for validation; val.jsonl was not written");
  }
  say_what_was_done(manifests, writer, findings, train, val);
  return 0;
}

}  // namespace

int prepare_command(const std::vector<std::string>& arguments) {
  PrepareOptions options;
  FlagTable table = options.table();
  Positional folder{
      "FOLDER", "recordings with their texts; or a table (csv, tsv, jsonl), or one recording", {}, ""};
  const CommandText text{"prepare", "Makes JSONL ChatML manifests of recordings and their texts.",
                         "my_recordings --out my_voice"};
  if (!parse_command_line(text, arguments, table, &folder)) return 0;
  const fs::path path(folder.value);
  return prepare(path.has_filename() ? path : path.parent_path(), options);  // "recordings/" is "recordings"
}

}  // namespace higgs
