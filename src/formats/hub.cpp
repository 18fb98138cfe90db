#include "higgs/formats/hub.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "higgs/base/error.h"

namespace higgs {
namespace {

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// As huggingface_hub finds it.
fs::path hub_cache() {
  if (const char* cache = variable("HF_HUB_CACHE")) return cache;
  if (const char* home = variable("HF_HOME")) return fs::path(home) / "hub";
  if (const char* cache = variable("XDG_CACHE_HOME")) return fs::path(cache) / "huggingface" / "hub";
  const char* home = variable("HOME");
  return fs::path(home != nullptr ? home : ".") / ".cache" / "huggingface" / "hub";
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

// An owner or a repository: at most 96 letters, digits, '.', '_' and '-', the first a letter or digit.
bool is_id_part(const std::string& name) {
  const auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !name.empty() && name.size() <= 96 && is_plain(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace

bool is_hub_id(const std::string& name) {
  const auto slash = name.find('/');
  return slash != std::string::npos && is_id_part(name.substr(0, slash)) &&
         is_id_part(name.substr(slash + 1));
}

std::string hub_id_of(const fs::path& folder) {
  const std::string start = "models--";
  for (const fs::path& part : folder.lexically_normal()) {
    const std::string name = part.string();
    const auto between = name.find("--", start.size());
    if (name.rfind(start, 0) != 0 || between == std::string::npos) continue;
    return name.substr(start.size(), between - start.size()) + "/" + name.substr(between + 2);
  }
  return "";
}

fs::path resolve_checkpoint(const std::string& name, const std::string& flag) {
  if (fs::is_directory(name)) return name;
  if (!is_hub_id(name)) throw UserError(flag + " " + name + ": no such folder");

  const std::string folder = "models--" + std::string(name).replace(name.find('/'), 1, "--");
  const fs::path repository = hub_cache() / folder;
  const std::string command = "hf download " + name;
  const fs::path reference = repository / "refs" / "main";
  if (!fs::exists(reference)) {
    throw UserError(flag + " " + name + ": neither a folder nor in the Hugging Face cache (" +
                    hub_cache().string() + "); get it with: " + command);
  }
  const std::string revision = trimmed(read_file(reference, 4096));
  if (revision.empty() || revision.find('/') != std::string::npos || revision.front() == '.') {
    throw UserError(reference.string() + ": names no snapshot; get it with: " + command);
  }
  const fs::path snapshot = repository / "snapshots" / revision;
  if (!fs::is_directory(snapshot)) {
    throw UserError(snapshot.string() + ": snapshot is missing; get it with: " + command);
  }
  if (!fs::exists(snapshot / "config.json")) {
    throw UserError(snapshot.string() + ": has no config.json; " + download_advice(snapshot) +
                    "; a gated repository gives its files only after you accept its licence at " +
                    "https://huggingface.co/" + name + " and set HF_TOKEN");
  }
  return snapshot;
}

std::string download_advice(const fs::path& folder) {
  const std::string again = "download it again";
  const fs::path snapshots = fs::absolute(folder).lexically_normal().parent_path();
  const std::string repository = snapshots.parent_path().filename().string();
  if (snapshots.filename() != "snapshots" || repository.rfind("models--", 0) != 0) return again;
  std::string id = repository.substr(8);
  if (const auto mark = id.find("--"); mark != std::string::npos) id.replace(mark, 2, "/");
  const std::string command = "hf download " + id;
  std::error_code error;
  for (const auto& blob : fs::directory_iterator(snapshots.parent_path() / "blobs", error)) {
    if (blob.path().extension() == ".incomplete") {
      return "its download stopped in the middle (blobs/" + blob.path().filename().string() +
             "); go on with: " + command;
    }
  }
  return again + ": " + command;
}

}  // namespace higgs
