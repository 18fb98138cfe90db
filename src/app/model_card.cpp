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

struct BaseLicence {
  std::string lines, file;  // of its card's front matter; a file's name
};

BaseLicence licence_of(const fs::path& base) {
  return {licence_lines(base), licence_file(base)};
}

// The front matter up to `tags:`. `beside`: files of the base lie in this folder too, so links to them hold.
std::string front_matter(const std::string& base, const BaseLicence& licence, bool beside) {
  std::string text = "---\n";
  if (is_hub_id(base)) text += "base_model: " + base + "\n";
  std::istringstream lines(licence.lines);
  for (std::string line; std::getline(lines, line);) {
    const bool is_link = line.rfind("license_link:", 0) == 0;
    if (!is_link || beside || line.find("://") != std::string::npos) text += line + "\n";
  }
  if (!licence.lines.empty() || licence.file.empty()) return text;
  return text + "license: other\n" + (beside ? "license_link: " + licence.file + "\n" : "");
}

std::string row(const std::string& what, const std::string& text) {
  return "| " + what + " | " + text + " |\n";
}

constexpr const char* kTableHead = "| | |\n|---|---|\n";

std::string whole_row(const PeftConfig& adapter) {
  std::string names;
  for (const std::string& name : adapter.modules_to_save)
    names += (names.empty() ? "" : ", ") + name.substr(name.rfind('.') + 1);
  return names.empty() ? "" : row("trained whole", names);
}

std::string lora_rows(const PeftConfig& adapter) {
  if (adapter.target_regex == kNoTargetModules) return whole_row(adapter);
  return row("method", method(adapter)) +
         row("r",
             std::to_string(adapter.r) + (adapter.rank_pattern.empty() ? "" : ", others by rank_pattern")) +
         row("lora_alpha", number(adapter.lora_alpha) +
                               (adapter.alpha_pattern.empty() ? "" : ", others by alpha_pattern")) +
         row("lora_dropout in training", number(adapter.lora_dropout)) + whole_row(adapter);
}

constexpr const char* kTraining = "## Training";

// The section of an adapter's card that says how it was trained, "" when there is none.
std::string training_section(const fs::path& adapter) {
  constexpr std::size_t kMostBytes = 1 << 20;
  const fs::path path = adapter / "README.md";
  if (!fs::is_regular_file(path) || fs::file_size(path) > kMostBytes) return "";
  std::istringstream card(read_file(path, kMostBytes));
  std::string section;
  for (std::string line; std::getline(card, line);) {
    if (line == kTraining) {
      section = "\n" + line + "\n";
    } else if (!section.empty() && line.rfind("| ", 0) != 0 && line.rfind("|-", 0) != 0) {
      break;
    } else if (!section.empty()) {
      section += line + "\n";
    }
  }
  return section;
}

}  // namespace

std::string adapter_card(const TrainingFacts& facts, const PeftConfig& adapter) {
  const BaseLicence licence = licence_of(facts.base);
  const std::string base = public_name(facts.base_name);
  std::string card = front_matter(base, licence, false);
  card += "library_name: peft\ntags:\n- higgs-audio\n- text-to-speech\n- lora\n---\n\n# Adapter for " + base +
          "\n\nMade by higgs_train " + version() +
          ": a PEFT folder. It speaks with\n\n```\nhiggs_train generate --base_ckpt " + base +
          " --adapter . --text \"Hello.\" --out hello.wav\n```\n\nWhose voice it is, and what it may be used "
          "for, is for whoever passes it on to say here.\n\n";
  card += kTableHead + row("base", base) +
          row("licence of the base", licence_text(licence.lines, licence.file)) + lora_rows(adapter);
  card += std::string("\n") + kTraining + "\n" + kTableHead + row("samples", std::to_string(facts.samples)) +
          row("steps", std::to_string(facts.steps)) + row("samples a step", facts.samples_per_step) +
          row("highest learning rate", number(facts.learning_rate)) +
          row("weights of the base", facts.dtype) + row("seed", std::to_string(facts.seed));
  if (facts.validation_loss) {
    card += row("held-out audio loss at the end", number(*facts.validation_loss) + " nats a code");
  }
  return card;
}

std::string model_card(const MergeFacts& facts, const PeftConfig& adapter) {
  const BaseLicence licence = licence_of(facts.base);
  const std::string base = public_name(facts.base_name);
  std::string card = front_matter(base, licence, true);
  card += "tags:\n- higgs-audio\n- text-to-speech\n- merged\n---\n\n# " + base + " with a merged adapter\n\n";
  card += "Made by higgs_train " + std::string(version()) +
          ": the adapter is part of the weights, and this folder is used like its base.\n\n";
  card += kTableHead + row("base", base) +
          row("licence of the base", licence_text(licence.lines, licence.file)) +
          row("adapter", last_name(facts.adapter)) +
          row("trained on", adapter.base_model_name_or_path.empty()
                                ? "not stated"
                                : public_name(adapter.base_model_name_or_path)) +
          lora_rows(adapter) + row("weights changed", std::to_string(facts.num_merged));
  std::string whole;
  for (const std::string& name : facts.replaced) whole += (whole.empty() ? "" : ", ") + name;
  if (!whole.empty()) card += row("weights of the adapter's own", whole);
  return card + row("layout", name_of(facts.layout)) + row("type of the weights", facts.dtype) +
         training_section(facts.adapter);
}

}  // namespace higgs
