// `evaluate`: whether an adapter is good, by held-out samples; which checkpoint of a run is best.
#include <cstdio>
#include <optional>

#include "evaluate_options.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/app/prompt_file.h"
#include "higgs/app/speech.h"
#include "higgs/base/error.h"
#include "higgs/formats/checkpoint_folder.h"
#include "higgs/model/adapter.h"
#include "output_file.h"
#include "score_output.h"

namespace higgs {

FlagTable EvaluateOptions::table() {
  FlagTable t;
  t.section("Data and result");
  t.add("manifest", manifest, "JSONL ChatML of held-out samples").require();
  t.section("Base, codec and device");
  base.describe(t);
  t.section("What to evaluate");
  t.add("adapter", adapter, "PEFT folder; default: the base alone");
  t.add("run", run, "instead: a run's --output_dir, of which every checkpoint is evaluated");
  t.add("base", beside, "evaluates the base alone too, to compare with").choose({"on", "off"});
  t.add("batch_size", batch_size, "samples at once").range(1);
  t.section("Spoken samples");
  t.add("speak", speak,
        "so many samples, evenly spread, are spoken and compared with their recordings; 0: none")
      .range(0);
  describe_sampling(t, sampling);
  t.add("seed", seed, "of sampling").range(0);
  t.add("out_dir", out_dir, "folder to keep the spoken WAVs in");
  t.section("More output");
  t.add("json", json, "file for all of the result as one line of JSON; -: stdout, instead of the tables");
  return t;
}

void EvaluateOptions::check() const {
  if (!adapter.empty() && !run.empty())
    throw UserError("--adapter and --run exclude each other: one adapter, or all of a run");
  if (beside == "off" && adapter.empty() && run.empty())
    throw UserError("--base off leaves nothing to evaluate; give --adapter or --run");
  if (!json.empty() && !json_to_stdout()) check_output_file(json, "--json");
  if (!out_dir.empty()) check_can_hold_files(out_dir, "--out_dir");
}

namespace {

struct Result {
  std::string text;
  OrderedJson json;
};

double seconds_per_text_token(const fs::path& folder) {
  const std::optional<PromptFile> trained = read_prompt_file(folder);
  return trained ? trained->seconds_per_text_token : 0.0;
}

Result evaluate_one(BaseModel& base, const EvaluateOptions& options, bool speak_was_given) {
  std::optional<Adapter> adapter;  // before the clips are encoded: it may not fit
  if (!options.adapter.empty()) adapter.emplace(base.model(), fs::path(options.adapter));
  const double pace = seconds_per_text_token(adapter ? fs::path(options.adapter) : base.folder());
  Evaluation evaluation(base, options, speak_was_given);
  std::vector<ModelScore> scores;
  if (adapter) scores.push_back(evaluation.score("adapter", "adapter", pace));
  adapter.reset();
  if (options.beside == "on") scores.insert(scores.begin(), evaluation.score("base", "base", pace));
  Result result{score_text(scores), score_json(scores.back())};
  if (!options.adapter.empty()) {
    result.json["adapter"] = options.adapter;
    if (scores.size() > 1) result.json["base"] = score_json(scores.front());
  }
  return result;
}

Result run_result(const ModelScore* base, const std::vector<Candidate>& candidates,
                  const std::vector<ModelScore>& scores) {
  std::vector<Outcome> outcomes;
  for (const ModelScore& score : scores)
    outcomes.push_back({score.name, score.metrics.loss.deciding(), score.sample_losses});
  const Choice choice =
      choose_best(outcomes, base != nullptr ? std::optional(base->metrics.loss.deciding()) : std::nullopt);
  OrderedJson checkpoints = OrderedJson::array();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    checkpoints.push_back(score_json(scores[i]));
    checkpoints.back()["name"] = scores[i].name;
    if (candidates[i].step < 0) checkpoints.back()["step"] = nullptr;
    checkpoints.back()["path"] = candidates[i].folder.string();
  }
  Result result{run_text(base, candidates, scores, choice), checkpoints[choice.best]};
  result.json["adapter"] = candidates[choice.best].folder.string();
  result.json.erase("path");
  result.json["best"] = {{"name", scores[choice.best].name},
                         {"step", result.json["step"]},
                         {"path", candidates[choice.best].folder.string()},
                         {"ahead_of_next", choice.ahead_of_next},
                         {"ahead_of_last", choice.ahead_of_last},
                         {"last_is_overfitted", choice.overfitted},
                         {"beats_base", choice.beats_base},
                         {"reason", choice.reason}};
  if (base != nullptr) result.json["base"] = score_json(*base);
  result.json["checkpoints"] = std::move(checkpoints);
  return result;
}

Result evaluate_run(BaseModel& base, const EvaluateOptions& options, const std::vector<Candidate>& candidates,
                    bool speak_was_given) {
  std::optional<Adapter> adapter;
  adapter.emplace(base.model(), candidates.front().folder);
  const double pace = seconds_per_text_token(candidates.front().folder);
  Evaluation evaluation(base, options, speak_was_given);
  std::vector<ModelScore> scores;
  for (const Candidate& one : candidates) {
    adapter.emplace(base.model(), one.folder);
    const std::string folder = one.step < 0 ? one.name : checkpoint_name(one.step);
    scores.push_back(evaluation.score(one.name, folder, pace));
    scores.back().metrics.step = one.step;
  }
  adapter.reset();
  std::optional<ModelScore> alone;
  if (options.beside == "on") alone = evaluation.score("base", "base", pace);
  return run_result(alone ? &*alone : nullptr, candidates, scores);
}

int evaluate_all(EvaluateOptions& options, const FlagTable& table) {
  options.check();
  std::vector<Candidate> candidates;
  if (!options.run.empty()) candidates = candidates_of_run(options.run);
  BaseModel base(options.base);
  take_base_sampling(base.folder(), table, options.sampling);
  const bool speak_was_given = table.was_given("speak");
  const Result result = candidates.empty() ? evaluate_one(base, options, speak_was_given)
                                           : evaluate_run(base, options, candidates, speak_was_given);
  const std::string line = result.json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
  std::fputs((options.json_to_stdout() ? line : result.text).c_str(), stdout);
  if (!options.json.empty() && !options.json_to_stdout()) {
    make_folder_for(options.json);
    write_file_atomically(options.json, line);
  }
  return 0;
}

}  // namespace

int evaluate_command(const std::vector<std::string>& arguments) {
  EvaluateOptions options;
  FlagTable table = options.table();
  const CommandText text{"evaluate",
                         "Says how good an adapter is on held-out samples: losses and accuracies, and how it "
                         "speaks them, beside the base; or which checkpoint of a run is best.",
                         "--manifest my_voice/val.jsonl --base_ckpt BASE --adapter ADAPTER"};
  if (!parse_command_line(text, arguments, table)) return 0;
  return evaluate_all(options, table);
}

}  // namespace higgs
