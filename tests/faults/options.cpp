#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>

namespace higgs::test {
namespace {

void print_help(const ProgramText& text) {
  std::printf("usage: %s [--count N] [--seed S] [--binary PATH]%s [--log FILE] [--keep]\n\n%s\n\n", text.name,
              text.takes_ranks ? " [--ranks 1|2]" : "", text.summary);
  std::printf("  --count N      %s (default %d)\n", text.count_means, text.default_count);
  std::printf("  --seed S       of what happens when (default: another each time; it is printed)\n");
  std::printf(
      "  --binary PATH  the higgs_train to be tested (default: $HIGGS_BINARY, else the one built with "
      "this)\n");
  if (text.takes_ranks) std::printf("  --ranks N      processes, under mpirun from two on (default 1)\n");
  std::printf("  --log FILE     add a line with the figures, as JSON\n");
  std::printf("  --keep         leave the folder of the runs in place when something failed\n\n");
  std::printf(
      "Ends with 0 when all is as it must be, with 1 when not, with 2 on a mistake in these options.\n");
}

[[noreturn]] void mistake(const ProgramText& text, const std::string& what) {
  std::fprintf(stderr, "%s: %s; see --help\n", text.name, what.c_str());
  std::exit(2);
}

std::uint64_t whole_number(const ProgramText& text, const std::string& option, const std::string& value) {
  if (value.empty() || value.size() > 18 || value.find_first_not_of("0123456789") != std::string::npos) {
    mistake(text, option + ": '" + value + "' is not a whole number");
  }
  return std::stoull(value);
}

}  // namespace

Options parse_options(int argc, char** argv, const ProgramText& text) {
  Options options;
  options.program = text.name;
  options.count = text.default_count;
  options.seed = std::random_device()() % 1000000;
  const char* built = std::getenv("HIGGS_BINARY");
  options.binary = built != nullptr ? built : FAULTS_BINARY;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      print_help(text);
      std::exit(0);
    }
    if (option == "--keep") {
      options.keep = true;
      continue;
    }
    if (i + 1 == argc) mistake(text, option + ": unknown, or without a value");
    const std::string value = argv[++i];
    if (option == "--count") {
      options.count = static_cast<int>(whole_number(text, option, value));
    } else if (option == "--seed") {
      options.seed = whole_number(text, option, value);
    } else if (option == "--binary") {
      options.binary = value;
    } else if (option == "--log") {
      options.log = value;
    } else if (option == "--ranks" && text.takes_ranks) {
      options.ranks = static_cast<int>(whole_number(text, option, value));
      if (options.ranks < 1 || options.ranks > 8) mistake(text, "--ranks must be between 1 and 8");
    } else {
      mistake(text, "unknown option '" + option + "'");
    }
  }
  options.binary = fs::absolute(options.binary);
  if (!fs::exists(options.binary))
    mistake(text, options.binary.string() + " is not there; build it, or --binary");
  ::setenv("HIGGS_SOURCE_DIR", FAULTS_SOURCE_DIR, /*overwrite=*/0);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  return options;
}

}  // namespace higgs::test
