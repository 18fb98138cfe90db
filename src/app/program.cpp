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
    {"evaluate", evaluate_command,
     "how good an adapter is on held-out samples, beside the base; the best checkpoint of a run"},
    {"merge", merge_command, "makes a full checkpoint of base and adapter"},
    {"plan", plan_command, "says what memory training takes, before it starts"},
    {"inspect", inspect_command, "writes what the model sees, stage by stage, as tensors"},
}};

void print_overview() {
  std::printf("higgs_train %s: trains LoRA adapters for Higgs Audio\n\n", version());
  std::printf("higgs_train COMMAND [flags]; without a command word it trains\n\n");
  for (const Entry& entry : kCommands) std::printf("  %-10s %s\n", entry.name, entry.summary);
  std::printf("\nhiggs_train COMMAND --help shows a command's flags.\n");
}

int run_command(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print_overview();
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "--version") {
    std::printf("higgs_train %s\n", version());
    return 0;
  }
  for (const Entry& entry : kCommands) {
    if (words[0] == entry.name) return entry.run({words.begin() + 1, words.end()});
  }
  if (words[0].rfind("--", 0) == 0) return train_command(words);
  throw UserError("unknown command '" + words[0] + "'; higgs_train --help lists them");
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
