#include "higgs/formats/hub.h"

#include <cstdlib>
#include <regex>

#include "higgs/base/error.h"

namespace higgs {
namespace {

fs::path hub_cache() {
  if (const char* cache = std::getenv("HF_HUB_CACHE"); cache != nullptr && *cache != '\0') return cache;
  if (const char* home = std::getenv("HF_HOME"); home != nullptr && *home != '\0')
    return fs::path(home) / "hub";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : ".") / ".cache" / "huggingface" / "hub";
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

}  // namespace

fs::path resolve_checkpoint(const std::string& name, const std::string& flag) {
  if (fs::is_directory(name)) return name;
  static const std::regex id_pattern("[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*");
  if (!std::regex_match(name, id_pattern)) throw UserError(flag + " " + name + ": no such folder");

  const std::string folder = "models--" + std::regex_replace(name, std::regex("/"), "--");
  const fs::path repository = hub_cache() / folder;
  const std::string advice = "; get it with: hf download " + name;
  const fs::path reference = repository / "refs" / "main";
  if (!fs::exists(reference)) {
    throw UserError(flag + " " + name + ": neither a folder nor in the Hugging Face cache (" +
                    hub_cache().string() + ")" + advice);
  }
  const fs::path snapshot = repository / "snapshots" / trimmed(read_file(reference, 4096));
  if (!fs::is_directory(snapshot)) throw UserError(snapshot.string() + ": snapshot is missing" + advice);
  return snapshot;
}

}  // namespace higgs
