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
  struct Opened {
    Manifest manifest;
    std::map<std::string, std::size_t> index;  // by where()
    explicit Opened(const fs::path& path) : manifest(path) {
      for (std::size_t i = 0; i < manifest.size(); ++i) index[manifest.where(i)] = i;
    }
  };
  std::map<std::string, Opened> opened;
  std::string text;
  for (const std::string& where : lines) {
    const std::string path = where.substr(0, where.rfind(':'));
    const Opened& one = opened.try_emplace(path, path).first->second;
    const auto found = one.index.find(where);
    if (found == one.index.end()) throw UserError(where + ": there is no such line any more");
    Json sample = parse_json(one.manifest.line(found->second), where);
    make_paths_absolute(sample, fs::absolute(one.manifest.clips().path));
    text += sample.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return text;
}

}  // namespace higgs
