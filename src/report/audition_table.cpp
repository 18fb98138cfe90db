#include "higgs/report/audition_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "higgs/base/error.h"
#include "higgs/base/format.h"
#include "higgs/data/base64.h"
#include "html_text.h"

namespace higgs {
namespace {

constexpr std::int64_t kReference = -1;  // the column of recordings; it comes first

struct Clip {
  std::string file;
  double seconds = 0.0, silent_tail = 0.0;
  bool stopped = false;
  std::size_t size = 0;  // bytes of its file
};

struct Auditions {
  std::map<std::int64_t, std::map<std::size_t, Clip>> columns;  // by step, by prompt
  std::map<std::size_t, std::string> texts;                     // by prompt
};

Auditions auditions_in(const std::vector<Json>& lines) {
  Auditions all;
  for (const Json& line : lines) {
    const std::string kind = line.value("kind", "");
    if (kind != "audition" && kind != "reference") continue;
    const auto prompt = line.value("prompt", std::size_t{0});
    Clip clip;
    clip.file = line.value("file", "");
    clip.seconds = line.value("clip_seconds", 0.0);
    clip.silent_tail = line.value("silent_tail", 0.0);
    clip.stopped = line.value("stopped", false);
    all.texts[prompt] = line.value("text", "");
    all.columns[kind == "reference" ? kReference : line.value("step", std::int64_t{0})][prompt] = clip;
  }
  return all;
}

std::size_t size_of(const std::map<std::size_t, Clip>& column) {
  std::size_t size = 0;
  for (const auto& [prompt, clip] : column) size += clip.size;
  return size;
}

// The columns whose sound goes into the page: recordings, the first, the last, and of those between evenly as
// many as fit.
std::set<std::int64_t> columns_inside(const Auditions& all, std::size_t most_sound) {
  std::vector<std::int64_t> order, middle;
  for (const auto& [step, column] : all.columns) (step == kReference ? order : middle).push_back(step);
  if (!middle.empty()) {
    order.insert(order.begin(), middle.back());  // what the run has come to is the last to be missed
    middle.pop_back();
  }
  if (!middle.empty()) {
    order.push_back(middle.front());
    middle.erase(middle.begin());
  }
  // Halves, quarters, ...: whatever is left out lies between two that are in.
  for (std::size_t stride = std::size_t{1} << 20; stride > 0; stride /= 2) {
    for (std::size_t i = stride - 1; i < middle.size(); i += stride) {
      if (std::find(order.begin(), order.end(), middle[i]) == order.end()) order.push_back(middle[i]);
    }
  }
  std::set<std::int64_t> inside;
  std::size_t sum = 0;
  for (const std::int64_t step : order) {
    const std::size_t size = size_of(all.columns.at(step));
    if (sum + size > most_sound) continue;
    sum += size;
    inside.insert(step);
  }
  return inside;
}

std::string cell(const Clip& clip, bool is_reference, bool inside, const fs::path& run_folder) {
  std::string text = "<td>";
  if (clip.size == 0) {
    text += clip.file.empty() ? "nothing was said" : "no such file any more";
  } else if (inside) {
    text += "<audio controls preload='none' src='data:audio/ogg;base64," +
            encode_base64(read_file(run_folder / clip.file)) + "'></audio>";
  } else {
    text += "<a href='" + html_escaped(clip.file) + "'>" + html_escaped(clip.file) + "</a>";
  }
  if (clip.seconds > 0.0) text += "<br>" + formatted("%.2f s", clip.seconds);
  if (!is_reference && !clip.file.empty() && !clip.stopped) text += ", <b>did not stop</b>";
  return text + "</td>";
}

std::string column_name(std::int64_t step) {
  return step == kReference ? "recording" : "step " + std::to_string(step);
}

}  // namespace

std::string audition_table(const std::vector<Json>& lines, const fs::path& run_folder,
                           std::size_t most_sound) {
  Auditions all = auditions_in(lines);
  if (all.columns.empty()) return "";
  for (auto& [step, column] : all.columns) {
    for (auto& [prompt, clip] : column) {
      std::error_code error;
      const auto size = clip.file.empty() ? 0 : fs::file_size(run_folder / clip.file, error);
      clip.size = error ? 0 : (size + 2) / 3 * 4;
    }
  }
  const std::set<std::int64_t> inside = columns_inside(all, most_sound);
  std::string table =
      "<h2>Auditions</h2><p>The same prompts, spoken with the same random numbers at each "
      "validation.</p><div class='wide'><table class='sound'><tr><th></th>";
  for (const auto& [step, column] : all.columns) table += "<th>" + column_name(step) + "</th>";
  table += "</tr>";
  for (const auto& [prompt, text] : all.texts) {
    table += "<tr><td class='said'>" + html_escaped(text) + "</td>";
    for (const auto& [step, column] : all.columns) {
      const auto clip = column.find(prompt);
      table += clip == column.end()
                   ? "<td></td>"
                   : cell(clip->second, step == kReference, inside.count(step) != 0, run_folder);
    }
    table += "</tr>";
  }
  return table + "</table></div>";
}

std::string stop_table(const std::vector<Json>& lines) {
  const Auditions all = auditions_in(lines);
  std::string rows;
  const auto references = all.columns.find(kReference);
  for (const auto& [step, column] : all.columns) {
    if (step == kReference) continue;
    std::size_t num_stopped = 0;
    double tail = 0.0, longest_tail = 0.0, ratios = 0.0;
    int num_ratios = 0;
    for (const auto& [prompt, clip] : column) {
      num_stopped += clip.stopped;
      tail += clip.silent_tail;
      longest_tail = std::max(longest_tail, clip.silent_tail);
      if (references == all.columns.end()) continue;
      const auto reference = references->second.find(prompt);
      if (reference == references->second.end() || reference->second.seconds <= 0.0) continue;
      ratios += clip.seconds / reference->second.seconds;
      ++num_ratios;
    }
    const auto count = static_cast<double>(column.size());
    rows += "<tr><td>" + std::to_string(step) + "</td><td>" + std::to_string(num_stopped) + " of " +
            std::to_string(column.size()) + "</td><td>" +
            (num_ratios > 0 ? formatted("%.2f", ratios / num_ratios) : "") + "</td><td>" +
            formatted("%.2f s", tail / count) + "</td><td>" + formatted("%.2f s", longest_tail) +
            "</td></tr>";
  }
  if (rows.empty()) return "";
  return "<h2>How the auditions end</h2><table><tr><th>step</th><th>stopped by themselves</th><th>length / "
         "recording's</th><th>silence at the end, mean</th><th>longest</th></tr>" +
         rows + "</table>";
}

}  // namespace higgs
