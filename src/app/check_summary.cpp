#include "check_summary.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "higgs/base/error.h"
#include "higgs/base/format.h"
#include "higgs/base/log.h"

namespace higgs {
namespace {

constexpr std::size_t kBarWidth = 40;  // columns

// Eighths of a column in blocks, whole columns otherwise; what isn't nothing shows.
std::string bar(std::size_t count, std::size_t most, bool blocks) {
  const double width = static_cast<double>(count) / static_cast<double>(most) * kBarWidth;
  if (!blocks) return std::string(std::max<std::size_t>(count > 0, static_cast<std::size_t>(width)), '#');
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = std::max<std::size_t>(count > 0, static_cast<std::size_t>(std::lround(width * 8)));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  return text + kEighths[eighths % 8];
}

std::string band_name(const Histogram& histogram, std::size_t band) {
  const std::vector<double>& edges = histogram.edges();
  if (band == 0) return "under " + formatted("%g", edges.front());
  if (band == edges.size()) return formatted("%g", edges.back()) + " on";
  return formatted("%g", edges[band - 1]) + " - " + formatted("%g", edges[band]);
}

// A row for each band from the first that holds something to the last.
std::string drawn(const std::string& title, const Histogram& histogram, bool blocks) {
  if (histogram.empty()) return "";
  const std::vector<std::size_t>& counts = histogram.counts();
  std::size_t first = 0, last = counts.size() - 1;
  while (counts[first] == 0) ++first;
  while (counts[last] == 0) --last;
  const std::size_t most = *std::max_element(counts.begin(), counts.end());
  std::string text = title + "\n";
  for (std::size_t band = first; band <= last; ++band) {
    char head[64];
    std::snprintf(head, sizeof head, "%14s %8zu ", band_name(histogram, band).c_str(), counts[band]);
    text += head + bar(counts[band], most, blocks);
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string kinds_text(const std::map<std::string, std::size_t>& kinds) {
  std::string text;
  for (const auto& [kind, count] : kinds)
    text += (text.empty() ? " (" : ", ") + std::to_string(count) + " " + kind;
  return text.empty() ? "" : text + ")";
}

double fraction(const CheckTotals& totals) {
  return totals.num_tokens == 0
             ? 0.0
             : static_cast<double>(totals.num_supervised) / static_cast<double>(totals.num_tokens);
}

OrderedJson json_of(const Histogram& histogram) {
  return {{"edges", histogram.edges()}, {"counts", histogram.counts()}};
}

}  // namespace

std::string problem_line(const std::string& manifest, std::uint64_t line, const Problem& problem) {
  // As an error's message: text out of a file must not write to the terminal.
  return UserError(manifest + ":" + (line == 0 ? "" : std::to_string(line) + ":") +
                   (problem.grade == Grade::kError ? " error: " : " warning: ") + problem.message)
      .what();
}

bool shows_blocks() {
  if (::isatty(STDOUT_FILENO) == 0) return false;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale(value);
    std::transform(locale.begin(), locale.end(), locale.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

std::string summary_text(const CheckTotals& totals, bool blocks) {
  std::string text = counted(totals.num_samples, "sample") + ", " + counted(totals.num_clips, "clip") + ", " +
                     log::duration_text(totals.reply_seconds) + " of sound to be learnt, " +
                     counted(totals.speakers.size(), "speaker") + "\n";
  text += drawn("seconds of a clip to be learnt", totals.seconds, blocks);
  for (std::size_t i = 0; i < kNumScripts; ++i) {
    char median[32];
    std::snprintf(median, sizeof median, "%.1f", totals.median_rates[i]);
    text += drawn("characters a second, " + std::string(name_of(kScripts[i])) + " (median " + median + ")",
                  totals.rates[i], blocks);
  }
  text += drawn("tokens of a sample", totals.tokens, blocks);
  if (totals.num_tokens > 0) {
    char share[96];
    std::snprintf(share, sizeof share, "%.1f %% of %lld tokens are supervised\n", 100.0 * fraction(totals),
                  static_cast<long long>(totals.num_tokens));
    text += share;
  }
  return text + counted(totals.num_errors(), "error") + kinds_text(totals.errors) + ", " +
         counted(totals.num_warnings(), "warning") + kinds_text(totals.warnings) + "\n";
}

OrderedJson summary_json(const CheckTotals& totals) {
  OrderedJson rates = OrderedJson::object();
  for (std::size_t i = 0; i < kNumScripts; ++i) {
    if (totals.rates[i].empty()) continue;
    OrderedJson rate = json_of(totals.rates[i]);
    rate["median"] = totals.median_rates[i];
    rates[name_of(kScripts[i])] = std::move(rate);
  }
  OrderedJson json = {{"samples", totals.num_samples},
                      {"clips", totals.num_clips},
                      {"seconds", totals.reply_seconds},
                      {"speakers", totals.speakers.size()},
                      {"errors", totals.num_errors()},
                      {"warnings", totals.num_warnings()},
                      {"errors_by_kind", totals.errors},
                      {"warnings_by_kind", totals.warnings},
                      {"seconds_histogram", json_of(totals.seconds)},
                      {"characters_per_second", std::move(rates)}};
  if (totals.num_tokens > 0) {
    json["tokens"] = totals.num_tokens;
    json["supervised_fraction"] = fraction(totals);
    json["tokens_histogram"] = json_of(totals.tokens);
  }
  return json;
}

}  // namespace higgs
