#include <array>
#include <cstdio>
#include <cstdlib>

#include "higgs/app/commands.h"
#include "higgs/app/version.h"
#include "higgs/base/ending.h"
#include "higgs/base/error.h"
#include "higgs/base/freed_memory.h"

namespace higgs {
namespace {

struct Entry {
  const char* name;
  int (*run)(const std::vector<std::string>&);
  const char* summary;
};
constexpr std::array<Entry, 9> kCommands = {{
    {"train", train_command, "trains a LoRA adapter on a JSONL ChatML manifest"},
    {"prepare", prepare_command, "makes manifests of a folder of recordings and their texts"},
    {"check", check_command, "says what is wrong with a manifest and its clips"},
    {"generate", generate_command, "speaks text, with the base or with base and adapter"},
    {"encode", encode_command, "fills the code cache for a manifest's clips"},
    {"evaluate", evaluate_command, "says how good an adapter is on held-out samples"},
    {"merge", merge_command, "makes a full checkpoint of base and adapter"},
    {"plan", plan_command, "says what memory and time training takes, before it starts"},
    {"inspect", inspect_command, "writes what the model sees, stage by stage, as tensors"},
}};

void print_overview() {
  std::printf("higgs_train %s: trains LoRA adapters for Higgs Audio\n\n", version());
  std::printf("higgs_train COMMAND [flags]; without a command word it trains\n\n");
  for (const Entry& entry : kCommands) std::printf("  %-10s %s\n", entry.name, entry.summary);
  std::printf(
      "\nhiggs_train COMMAND --help shows a command's flags; higgs_train help --markdown shows all of them.\n"
      "Exit codes: 0 done; 1 the run failed; 2 a mistake in flags, configuration or data, named in one\n"
      "line; 143 stopped by a signal with a checkpoint saved.\n");
}

int run_named(const std::string& name, const std::vector<std::string>& arguments) {
  for (const Entry& entry : kCommands) {
    if (name == entry.name) return entry.run(arguments);
  }
  throw UserError("unknown command '" + name + "'; higgs_train --help lists them");
}

// docs/flags.md.
int print_all_flags() {
  std::printf(
      "# Flags of every command\n"
      "Printed by `higgs_train help --markdown`; a test compares. `N` is a whole number, `X` a number; a "
      "flag\n"
      "without either, or a choice, is a switch. Where a command has `--config`, a setting has the same name "
      "in\n"
      "that file (TOML: `lr = 1e-4`), and a flag beats the file. Every command has `--help` too.\n");
  for (const Entry& entry : kCommands) {
    std::printf("\n");
    entry.run({"--help", "--markdown"});
  }
  return 0;
}

int help(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[1] == "--markdown") return print_all_flags();
  if (words.size() == 2) return run_named(words[1], {"--help"});
  print_overview();
  return 0;
}

int run_command(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_overview();
    return 2;
  }
  if (words[0] == "help") return help(words);
  if (words[0] == "--help" || words[0] == "-h") return help({});
  if (words[0] == "--version") {
    std::printf("higgs_train %s\n", version());
    return 0;
  }
  if (words[0].rfind("--", 0) == 0) return train_command(words);
  return run_named(words[0], {words.begin() + 1, words.end()});
}

// MKL promises the same bits from one run to the next only so (its "conditional numerical reproducibility").
void ask_for_equal_bits() {
  ::setenv("MKL_CBWR", "AUTO", /*overwrite=*/0);
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  keep_freed_memory();
  ask_for_equal_bits();
  try {
    return run_command({argv + 1, argv + argc});
  } catch (...) {
    const Ending ending = ending_of(std::current_exception());
    std::fprintf(stderr, "higgs_train: %s: %s\n", ending_word(ending.exit_code), ending.text.c_str());
    return ending.exit_code;
  }
}

}  // namespace higgs
