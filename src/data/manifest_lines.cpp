#include "higgs/data/manifest_lines.h"

#include <map>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/data/manifest.h"

namespace higgs {
namespace {

// Wherever in the sample a clip is named.
void make_paths_absolute(Json& value, const fs::path& folder) {
  if (value.is_object()) {
    for (auto& [key, inner] : value.items()) {
      if (key == "audio_url" && inner.is_string()) {
        const auto& url = inner.get_ref<const std::string&>();
        if (url.empty() || url == "placeholder" || url.find("://") != std::string::npos) continue;
        inner = (folder / url).lexically_normal().string();  // an absolute path stays what it is
      } else {
        make_paths_absolute(inner, folder);
      }
    }
  } else if (value.is_array()) {
    for (Json& inner : value) make_paths_absolute(inner, folder);
  }
}

}  // namespace

std::string lines_with_full_paths(const std::vector<std::string>& lines) {
  std::map<std::string, std::vector<std::size_t>> wanted;  // by manifest: indices into `lines`
  for (std::size_t i = 0; i < lines.size(); ++i) {
    wanted[lines[i].substr(0, lines[i].rfind(':'))].push_back(i);
  }
  std::vector<std::string> texts(lines.size());
  for (const auto& [path, indices] : wanted) {
    Manifest manifest(path);
    while (manifest.next()) {
      for (const std::size_t i : indices) {
        if (manifest.where() != lines[i]) continue;
        Json sample = parse_json(manifest.line(), lines[i]);
        make_paths_absolute(sample, fs::absolute(manifest.clips().path));
        texts[i] = sample.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
      }
    }
  }
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (texts[i].empty()) throw UserError(lines[i] + ": there is no such line any more");
    text += texts[i];
  }
  return text;
}

}  // namespace higgs
