#include "damages.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "higgs/base/hash.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using Json = nlohmann::ordered_json;
using Kind = Damage::Kind;
using Damages = std::vector<Damage>;

constexpr const char* kManifest = "MANIFEST.json";

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Whatever was there before, a folder too.
void replace(const fs::path& file, const std::string& bytes) {
  fs::remove_all(file);
  write_text(file, bytes);
}

Json manifest_of(const fs::path& folder) {
  return Json::parse(text_of(folder / kManifest));
}

void add(Damages& all, const std::string& name, Kind kind, std::function<void(const fs::path&)> apply) {
  all.push_back({name, kind, std::move(apply)});
}

void add_cuts(Damages& all, const std::string& file) {
  const auto cut = [&](const char* what, Kind kind, std::size_t (*length)(std::size_t size)) {
    add(all, file + " cut to " + what, kind, [=](const fs::path& folder) {
      const std::string bytes = text_of(folder / file);
      replace(folder / file, bytes.substr(0, length(bytes.size())));
    });
  };
  cut("0 bytes", Kind::kDamaged, [](std::size_t) -> std::size_t { return 0; });
  cut("1 byte", Kind::kDamaged, [](std::size_t) -> std::size_t { return 1; });
  cut("its first 8 bytes", Kind::kDamaged, [](std::size_t) -> std::size_t { return 8; });
  cut("half", Kind::kDamaged, [](std::size_t size) { return size / 2; });
  // The manifest's last byte is the end of its line.
  cut("all but a byte", file == kManifest ? Kind::kHarmless : Kind::kDamaged,
      [](std::size_t size) { return size - 1; });
  add(all, file + " longer by a byte", Kind::kDamaged,
      [file](const fs::path& folder) { replace(folder / file, text_of(folder / file) + "x"); });
  add(all, file + " all zeros", Kind::kDamaged, [file](const fs::path& folder) {
    replace(folder / file, std::string(text_of(folder / file).size(), '\0'));
  });
}

void add_flips(Damages& all, const std::string& file, std::size_t size, std::mt19937_64& random) {
  if (file == kManifest) return;  // its own edits follow below
  for (int i = 0; i < 3; ++i) {
    const std::size_t at = i == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, size - 1)(random);
    const int bit = static_cast<int>(random() % 8);
    add(all, file + " with bit " + std::to_string(bit) + " of byte " + std::to_string(at) + " flipped",
        Kind::kDamaged, [file, at, bit](const fs::path& folder) {
          std::string bytes = text_of(folder / file);
          bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ (1 << bit));
          replace(folder / file, bytes);
        });
  }
}

void add_absences(Damages& all, const std::string& file) {
  add(all, file + " missing", Kind::kDamaged, [file](const fs::path& folder) { fs::remove(folder / file); });
  add(all, file + " is a folder", Kind::kDamaged, [file](const fs::path& folder) {
    fs::remove(folder / file);
    fs::create_directories(folder / file);
  });
  add(all, file + " is a link to nothing", Kind::kDamaged, [file](const fs::path& folder) {
    fs::remove(folder / file);
    fs::create_symlink("/nowhere/at/all", folder / file);
  });
}

// MANIFEST.json written anew by `edit`.
void add_edit(Damages& all, const std::string& what, std::function<void(Json&)> edit,
              Kind kind = Kind::kDamaged) {
  add(all, std::string(kManifest) + " " + what, kind, [edit = std::move(edit)](const fs::path& folder) {
    Json manifest = manifest_of(folder);
    edit(manifest);
    replace(folder / kManifest, manifest.dump(2, ' ', false, Json::error_handler_t::ignore) + "\n");
  });
}

void add_text(Damages& all, const std::string& what, const std::string& text) {
  add(all, std::string(kManifest) + " " + what, Kind::kDamaged,
      [text](const fs::path& folder) { replace(folder / kManifest, text); });
}

void add_manifest_edits(Damages& all) {
  const std::string adapter = "adapter_model.safetensors";
  for (const char* name : {"../step-000001/adapter_model.safetensors", "/etc/passwd", "below/x", ".", "..",
                           "", "adapter_model.safetensors/", "no-such-file", "MANIFEST.json"}) {
    add_edit(all, "names '" + std::string(name) + "'",
             [=](Json& m) { m["files"][name] = m["files"][adapter]; });
  }
  add_edit(all, "names a file of 5000 letters",
           [=](Json& m) { m["files"][std::string(5000, 'a')] = m["files"][adapter]; });
  add_edit(all, "without format", [](Json& m) { m.erase("format"); });
  add_edit(all, "of another format", [](Json& m) { m["format"] = 2; });
  add_edit(all, "without files", [](Json& m) { m.erase("files"); });
  add_edit(all, "with files as a list", [](Json& m) { m["files"] = Json::array(); });
  add_edit(all, "with files as a word", [](Json& m) { m["files"] = "all"; });
  add_edit(all, "that lists nothing", [](Json& m) { m["files"] = Json::object(); });
  for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
    add_edit(all, "that doesn't list " + std::string(name), [=](Json& m) { m["files"].erase(name); });
  }
  add_edit(all, "with an entry that is a list", [=](Json& m) { m["files"][adapter] = {1, 2}; });
  add_edit(all, "with an entry that is null", [=](Json& m) { m["files"][adapter] = nullptr; });
  const std::pair<const char*, Json> sizes[] = {{"a word", "12"},
                                                {"negative", -1},
                                                {"1e300", 1e300},
                                                {"a fraction", 1.5},
                                                {"true", true},
                                                {"null", nullptr},
                                                {"2^63", 9223372036854775808ull}};
  for (const auto& [what, size] : sizes) {
    add_edit(all, "with a size that is " + std::string(what),
             [=, size = size](Json& m) { m["files"][adapter]["size"] = size; });
  }
  add_edit(all, "with a hash that is a number", [=](Json& m) { m["files"][adapter]["xxh3_128"] = 5; });
  add_edit(all, "with an empty hash", [=](Json& m) { m["files"][adapter]["xxh3_128"] = ""; });
  add_edit(all, "without a hash", [=](Json& m) { m["files"][adapter].erase("xxh3_128"); });
  add_edit(
      all, "with a field more", [](Json& m) { m["note"] = "mine"; }, Kind::kHarmless);
  add_text(all, "that is a number", "7\n");
  add_text(all, "that is a list", "[]\n");
  add_text(all, "that isn't UTF-8", "{\"format\": 1, \"files\": {\"\xff\xfe\": {}}}\n");
  add_text(all, "nested 1,000,000 deep", std::string(1000000, '['));
  add_text(all, "of 20 MB of blanks", std::string(20 << 20, ' '));
  add_text(all, "of 20 MB of numbers", "{\"files\": {\"x\": [" + std::string(10 << 20, '1') + "]}}");
}

// A file written anew, and its size and hash in the manifest.
void add_false(Damages& all, const std::string& file, const std::string& what,
               std::function<std::string(const std::string&)> edit) {
  add(all, file + " " + what + ", hash and all", Kind::kFalse,
      [file, edit = std::move(edit)](const fs::path& folder) {
        const std::string bytes = edit(text_of(folder / file));
        replace(folder / file, bytes);
        Json manifest = manifest_of(folder);
        manifest["files"][file] = {{"size", bytes.size()},
                                   {"xxh3_128", Hasher().update(std::as_bytes(std::span(bytes))).hex()}};
        replace(folder / kManifest, manifest.dump(2) + "\n");
      });
}

void add_false_contents(Damages& all) {
  const auto with = [](const char* key, const Json& value) {
    return [key, value](const std::string& text) {
      Json document = Json::parse(text);
      document[key] = value;
      return document.dump(2) + "\n";
    };
  };
  const std::string state = "trainer_state.json";
  const std::pair<const char*, Json> steps[] = {
      {"negative", -1}, {"1e300", 1e300}, {"a word", "3"}, {"null", nullptr}};
  for (const auto& [what, step] : steps)
    add_false(all, state, "with a step that is " + std::string(what), with("step", step));
  add_false(all, state, "with a negative number of optimizer steps", with("optimizer_steps", -5));
  add_false(all, state, "of another run", with("run", "data=0"));
  add_false(all, state, "that is a list", [](const std::string&) { return "[]\n"; });
  add_false(all, state, "that is empty", [](const std::string&) { return ""; });
  for (const char* file : {"adapter_model.safetensors", "optimizer.safetensors"}) {
    add_false(all, file, "that is empty", [](const std::string&) { return ""; });
    add_false(all, file, "cut to half",
              [](const std::string& bytes) { return bytes.substr(0, bytes.size() / 2); });
    add_false(all, file, "with a header of 2^60 bytes", [](std::string bytes) {
      bytes.replace(0, 8, std::string("\0\0\0\0\0\0\0\x10", 8));
      return bytes;
    });
    add_false(all, file, "with another dtype", [](std::string bytes) {
      bytes.replace(bytes.find("F32"), 3, "I32");
      return bytes;
    });
    add_false(all, file, "without tensors",
              [](const std::string&) { return std::string("\2\0\0\0\0\0\0\0{}", 10); });
  }
}

}  // namespace

std::vector<Damage> all_damages(const fs::path& example, std::mt19937_64& random) {
  Damages all;
  for (const std::string& file : file_names(example)) {
    const std::size_t size = fs::file_size(example / file);
    add_cuts(all, file);
    add_flips(all, file, size, random);
    add_absences(all, file);
  }
  add(all, "adapter and optimizer swapped", Kind::kDamaged, [](const fs::path& folder) {
    fs::rename(folder / "adapter_model.safetensors", folder / "x");
    fs::rename(folder / "optimizer.safetensors", folder / "adapter_model.safetensors");
    fs::rename(folder / "x", folder / "optimizer.safetensors");
  });
  add(all, "an empty folder", Kind::kDamaged, [](const fs::path& folder) {
    fs::remove_all(folder);
    fs::create_directories(folder);
  });
  add(all, "other files and folders beside its own", Kind::kHarmless, [](const fs::path& folder) {
    write_text(folder / "notes.txt", "mine");
    write_text(folder / "more/adapter_model.safetensors", "junk");
    write_text(folder / "MANIFEST.json.tmp.1", "{");
  });
  add_manifest_edits(all);
  add_false_contents(all);
  return all;
}

}  // namespace higgs::test
