#include <array>
#include <cstdio>
#include <new>

#include "higgs/app/commands.h"
#include "higgs/app/version.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"

namespace higgs {
namespace {

struct Entry {
  const char* name;
  int (*run)(const std::vector<std::string>&);
  const char* summary;
};
constexpr std::array<Entry, 7> kCommands = {{
    {"train", train_command, "trains a LoRA adapter on a JSONL ChatML manifest"},
    {"generate", generate_command, "speaks text, with the base or with base and adapter"},
    {"encode", encode_command, "fills the code cache for a manifest's clips"},
    {"evaluate", evaluate_command, "held-out losses and accuracies, of the base or of base and adapter"},
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

// LibTorch's messages carry a stack trace behind the first line.
std::string first_line(const char* what) {
  const std::string text = what;
  return text.substr(0, text.find('\n'));
}

// A path or a text out of a manifest may hold line breaks; an error is one line all the same.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  try {
    return run_command({argv + 1, argv + argc});
  } catch (const UserError& error) {
    std::fprintf(stderr, "higgs_train: error: %s\n", one_line(error.what()).c_str());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "higgs_train: failed: out of memory; try a smaller --batch_size\n");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "higgs_train: failed: %s\n", first_line(error.what()).c_str());
    return 1;
  }
}

}  // namespace higgs
