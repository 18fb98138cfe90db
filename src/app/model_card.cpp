#include "model_card.h"

#include <cstdio>
#include <sstream>

#include "higgs/app/version.h"
#include "higgs/formats/hub.h"
#include "higgs/model/layout.h"

namespace higgs {
namespace {

// The lines of a card's front matter that speak of the licence, as they stand there.
std::string licence_lines(const fs::path& base) {
  if (!fs::exists(base / "README.md")) return "";
  std::istringstream card(read_file(base / "README.md"));
  std::string line, found;
  if (!std::getline(card, line) || line.rfind("---", 0) != 0) return "";
  while (std::getline(card, line) && line.rfind("---", 0) != 0) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    for (const char* key : {"license:", "license_name:", "license_link:"}) {
      if (line.rfind(key, 0) == 0) found += line + "\n";
    }
  }
  return found;
}

std::string licence_file(const fs::path& base) {
  for (const char* name : {"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt"}) {
    if (fs::exists(base / name)) return name;
  }
  return "";
}

std::string value_of(const std::string& lines, const std::string& key) {
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    const auto begin = line.find_first_not_of(" \t", key.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::string licence_text(const std::string& lines, const std::string& file) {
  std::string text = value_of(lines, "license_name");
  if (text.empty()) text = value_of(lines, "license");
  if (text.empty())
    text = file.empty() ? "not stated in the base's folder; see where the base comes from" : "see " + file;
  return text;
}

std::string last_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

// A hub id stays one; a folder is called by its last name, or by the id of the hub cache it lies in.
std::string public_name(const std::string& name) {
  if (is_hub_id(name) && !fs::is_directory(name)) return name;
  const std::string cached = hub_id_of(name);
  return cached.empty() ? last_name(name) : cached;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string method(const PeftConfig& config) {
  std::string name = config.use_dora ? "DoRA" : "LoRA";
  if (config.use_rslora) name += ", scaled by the root of the rank (rsLoRA)";
  return name;
}

}  // namespace

std::string model_card(const MergeFacts& facts, const PeftConfig& adapter) {
  const std::string lines = licence_lines(facts.base), file = licence_file(facts.base);
  const std::string base = public_name(facts.base_name);
  std::string card = "---\n";
  if (is_hub_id(base)) card += "base_model: " + base + "\n";
  card += lines.empty() && !file.empty() ? "license: other\nlicense_link: " + file + "\n" : lines;
  card += "tags:\n- higgs-audio\n- text-to-speech\n- merged\n---\n\n# " + base + " with a merged adapter\n\n";
  card +=
      "Made by higgs_train " + std::string(version()) +
      ": the adapter is part of the weights, and this folder is used like its base.\n\n| | |\n|---|---|\n";
  const auto row = [&](const std::string& what, const std::string& text) {
    card += "| " + what + " | " + text + " |\n";
  };
  row("base", base);
  row("licence of the base", licence_text(lines, file));
  row("adapter", last_name(facts.adapter));
  row("trained on",
      adapter.base_model_name_or_path.empty() ? "not stated" : public_name(adapter.base_model_name_or_path));
  row("method", method(adapter));
  row("r", std::to_string(adapter.r) + (adapter.rank_pattern.empty() ? "" : ", others by rank_pattern"));
  row("lora_alpha",
      number(adapter.lora_alpha) + (adapter.alpha_pattern.empty() ? "" : ", others by alpha_pattern"));
  row("lora_dropout in training", number(adapter.lora_dropout));
  row("weights changed", std::to_string(facts.num_merged));
  std::string whole;
  for (const std::string& name : facts.replaced) whole += (whole.empty() ? "" : ", ") + name;
  if (!whole.empty()) row("weights of the adapter's own", whole);
  row("layout", name_of(facts.layout));
  row("type of the weights", facts.dtype);
  return card;
}

}  // namespace higgs
