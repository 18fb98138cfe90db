// `check`: what is wrong with a manifest and its clips, before anything is trained on them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>

#include "check_summary.h"
#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/error.h"
#include "higgs/base/live_line.h"
#include "higgs/base/log.h"
#include "higgs/data/manifest.h"
#include "higgs/data/prefetch.h"
#include "higgs/dist/placement.h"

namespace higgs {
namespace {

constexpr std::size_t kMostLines = 20;            // said of one kind of problem
constexpr std::size_t kMostInJson = 10000;        // of one kind
constexpr std::int64_t kMostReadingThreads = 16;  // as train's default
constexpr int kCodecRate = 24000;

struct CheckCommandOptions {
  BaseOptions base;
  std::int64_t max_tokens = 8192, num_workers = 0;
  bool json = false, print_config = false;
  std::string config;

  FlagTable table() {
    FlagTable t;
    t.section("Data");
    t.add("base_ckpt", base.base_ckpt,
          "base checkpoint: adds tokens, special tokens and what training on it would refuse");
    base.describe_clips(t);
    t.add("max_tokens", max_tokens, "longest sample, audio frames included, as train's").range(16);
    t.add("num_workers", num_workers, "threads that read clips; 0: one for each CPU").range(0, 1024);
    t.section("Output");
    t.add("json", json, "print one JSON object instead of lines");
    t.section("Settings and help");
    t.add("config", config, "TOML file with these settings; flags beat it");
    t.add("print_config", print_config, "print the settings as TOML and end");
    return t;
  }
};

// Frames of clips, by the codec that would encode them. It is opened when the first clip asks.
class ClipFrames {
 public:
  explicit ClipFrames(const BaseModel& base) : base_(base) {}

  std::int64_t operator()(std::size_t num_samples, int sample_rate) {
    std::call_once(opened_, [this] {
      try {
        codec_ = base_.open_codec();
      } catch (const UserError& error) {
        error_ = error.what();
      }
    });
    const auto at = [&](int rate) {  // as resample_soxr()
      return static_cast<std::int64_t>(
          std::ceil(static_cast<double>(num_samples) * (static_cast<double>(rate) / sample_rate)));
    };
    if (codec_) return codec_->num_frames(at(codec_->sample_rate()));
    return static_cast<std::int64_t>(static_cast<double>(at(kCodecRate)) / kCodecRate * kFramesPerSecond);
  }

  // Why there is no codec, "" when there is or none was needed. After the last call.
  const std::string& error() const { return error_; }

 private:
  const BaseModel& base_;
  std::once_flag opened_;
  std::unique_ptr<AudioTokenizer> codec_;
  std::string error_;
};

// Prints problems as they come, or keeps them for the JSON object.
class Problems {
 public:
  Problems(std::string manifest, bool json) : manifest_(std::move(manifest)), json_(json) {}

  void say(std::uint64_t line, const Problem& problem) {
    const std::size_t count = ++counts_[problem.kind];
    if (json_) {
      if (count > kMostInJson) return;
      list_.push_back({{"file", manifest_},
                       {"line", line == 0 ? OrderedJson(nullptr) : OrderedJson(line)},
                       {"kind", problem.kind},
                       {"grade", problem.grade == Grade::kError ? "error" : "warning"},
                       {"message", UserError(problem.message).what()}});
    } else if (count <= kMostLines) {
      log::write_above_live_line([&] {
        std::printf("%s\n", problem_line(manifest_, line, problem).c_str());
        std::fflush(stdout);
      });
    }
  }

  // Says how many lines were kept back.
  void say_counts() const {
    for (const auto& [kind, count] : counts_) {
      if (count > kMostLines)
        std::printf("%s: %s: %zu more like the %zu above\n", manifest_.c_str(), kind.c_str(),
                    count - kMostLines, kMostLines);
    }
  }
  const OrderedJson& list() const { return list_; }

 private:
  std::string manifest_;
  bool json_;
  std::map<std::string, std::size_t> counts_;
  OrderedJson list_ = OrderedJson::array();
};

struct Line {
  std::string text;
  std::uint64_t number = 0;  // 0: after the last
};

void check_lines(const std::string& path, const CheckCommandOptions& options, const SampleChecker& checker,
                 ManifestCheck& check) {
  Manifest manifest(path, options.base.confine_paths);
  const ClipFolder folder = manifest.clips();
  const std::size_t total = count_samples(path);
  bool at_end = false;
  const auto next = [&]() -> std::optional<Line> {
    if (at_end) return std::nullopt;
    if (manifest.next()) return Line{std::string(manifest.line()), manifest.number()};
    at_end = true;
    return Line{};
  };
  const auto read = [&](const Line& line) {
    return line.number == 0 ? CheckedSample{} : checker.check(line.text, line.number, folder);
  };
  const auto size = [](const CheckedSample&) { return sizeof(CheckedSample); };
  const std::int64_t threads = options.num_workers > 0
                                   ? options.num_workers
                                   : std::min<std::int64_t>(num_usable_cpus(), kMostReadingThreads);
  // Few samples ahead: what is ahead is only what was found in them.
  Prefetcher<Line, CheckedSample> samples({static_cast<int>(threads), 256 * sizeof(CheckedSample)}, next,
                                          read, size);
  log::Progress progress("checking clips");
  for (std::size_t done = 1;; ++done) {
    const CheckedSample sample = samples.next();
    if (sample.line == 0) break;
    check.add(sample);
    progress(done, total);
  }
  check.finish();
}

CheckOptions checker_options(const CheckCommandOptions& options, const BaseModel* base, ClipFrames* frames) {
  CheckOptions out;
  out.max_tokens = options.max_tokens;
  if (base != nullptr) {
    out.base = CheckedBase{&base->tokenizer(), base->ids(), base->config().layout == Layout::kHf,
                           [frames](std::size_t n, int rate) { return (*frames)(n, rate); }};
  }
  return out;
}

void print_result(const std::string& manifest, const CheckTotals& totals, const Problems& problems,
                  bool as_json) {
  if (as_json) {
    OrderedJson json = {{"manifest", manifest}};
    json.update(summary_json(totals));
    json["problems"] = problems.list();
    std::printf("%s\n", json.dump(2, ' ', false, OrderedJson::error_handler_t::replace).c_str());
  } else {
    problems.say_counts();
    std::fputs(summary_text(totals, shows_blocks()).c_str(), stdout);
  }
  if (std::fflush(stdout) != 0) throw RunError("standard output can't be written to");
}

int check(const std::string& manifest, CheckCommandOptions& options) {
  std::optional<BaseModel> base;
  std::optional<ClipFrames> frames;
  if (!options.base.base_ckpt.empty()) {
    options.base.device = "cpu";  // nothing is computed
    base.emplace(options.base);
    frames.emplace(*base);
  }
  const SampleChecker checker(checker_options(options, base ? &*base : nullptr, frames ? &*frames : nullptr));
  Problems problems(manifest, options.json);
  ManifestCheck check([&](std::uint64_t line, const Problem& problem) { problems.say(line, problem); });
  check_lines(manifest, options, checker, check);
  if (frames && !frames->error().empty())
    check.add_problem({"no_codec", Grade::kError, frames->error() + "; lengths are estimated"});
  const CheckTotals& totals = check.totals();
  print_result(manifest, totals, problems, options.json);
  if (totals.num_errors() == 0) return 0;
  throw UserError(manifest + ": " + std::to_string(totals.num_errors()) +
                  (totals.num_errors() == 1 ? " error" : " errors") +
                  ", with which training would fail or learn what is wrong; mend the lines, or train with "
                  "--skip_bad_samples where they can't be used");
}

}  // namespace

int check_command(const std::vector<std::string>& arguments) {
  CheckCommandOptions options;
  FlagTable table = options.table();
  Positional manifest{"MANIFEST", "JSONL ChatML, as prepare writes it", {}, ""};
  const CommandText text{"check", "Reads a manifest and every clip, and says what is wrong with them.",
                         "my_voice/train.jsonl --base_ckpt BASE"};
  if (!parse_command_line(text, arguments, table, &manifest)) return 0;
  return check(manifest.value, options);
}

}  // namespace higgs
