#include "higgs/formats/checkpoint_folder.h"

#include <algorithm>
#include <cstdio>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {

constexpr const char* kManifest = "MANIFEST.json";
constexpr std::int64_t kFormat = 1;

// Read, not mapped: what the disk can't give back is an error then, not a signal.
std::string hash_file(const fs::path& path) {
  Hasher hasher;
  read_in_pieces(path, [&](std::span<const std::byte> piece) { hasher.update(piece); });
  return hasher.hex();
}

}  // namespace

void CheckpointWriter::commit() {
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  for (const fs::path& path : list_folder(folder())) {
    files[path.filename().string()] = {{"size", fs::file_size(path)}, {"xxh3_128", hash_file(path)}};
  }
  write_file_atomically(folder() / kManifest,
                        nlohmann::ordered_json{{"format", kFormat}, {"files", files}}.dump(2) + "\n");
  staged_.commit_over();
}

std::optional<std::string> checkpoint_fault(const fs::path& folder,
                                            const std::vector<std::string>& required) {
  try {
    const fs::path manifest = folder / kManifest;
    if (!fs::exists(manifest)) return "has no MANIFEST.json: it was never finished";
    const Json document = read_json_file(manifest);
    const JsonObject fields(document, manifest.string());
    if (fields.integer("format") != kFormat) return "MANIFEST.json is of another format";
    const JsonObject files = fields.object("files");
    if (files.json().empty()) return "MANIFEST.json lists no files";
    for (const std::string& name : required) {
      if (!files.has(name)) return "MANIFEST.json does not list " + name;
    }
    for (const auto& [name, entry] : files.json().items()) {
      const JsonObject entry_fields = files.object(name);
      if (fs::path(name).filename() != fs::path(name)) return "MANIFEST.json names '" + name + "'";
      const fs::path path = folder / name;
      if (!fs::is_regular_file(path)) return name + " is missing";
      if (static_cast<std::int64_t>(fs::file_size(path)) != entry_fields.integer("size"))
        return name + " has another size";
      if (hash_file(path) != entry_fields.string("xxh3_128"))
        return name + " has other bytes than were written";
    }
    return std::nullopt;
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::vector<CheckpointEntry> list_checkpoints(const fs::path& root) {
  std::vector<CheckpointEntry> entries;
  if (!fs::is_directory(root)) return entries;
  for (const fs::path& path : list_folder(root)) {
    const std::string name = path.filename().string();
    long long step = 0;
    int used = 0;
    if (fs::is_directory(path) && std::sscanf(name.c_str(), "step-%lld%n", &step, &used) == 1 &&
        static_cast<std::size_t>(used) == name.size() && step >= 0) {
      entries.push_back({step, path});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return entries;
}

std::string checkpoint_name(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%06lld", static_cast<long long>(step));
  return name;
}

}  // namespace higgs
