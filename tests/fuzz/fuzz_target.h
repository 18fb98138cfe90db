// What the fuzz targets share. A target hands arbitrary bytes to the functions that the program reads files
// with; a UserError of one line is the right answer to bad ones. Anything else (another exception, a signal,
// a sanitizer's report, a leak, a hang) is a fault.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "higgs/base/error.h"

namespace higgs::fuzz {

using Target = void (*)(std::string_view bytes);

// By name; targets.cpp lists them.
const std::map<std::string, Target>& targets();

void fuzz_adapter(std::string_view bytes);
void fuzz_audio(std::string_view bytes);
void fuzz_chatml(std::string_view bytes);
void fuzz_codes(std::string_view bytes);
void fuzz_config(std::string_view bytes);
void fuzz_pth(std::string_view bytes);
void fuzz_safetensors(std::string_view bytes);
void fuzz_shards(std::string_view bytes);
void fuzz_tokenizer(std::string_view bytes);
void fuzz_transcripts(std::string_view bytes);

// Ends the process unless `holds`.
inline void require(bool holds, const char* what, const std::string& detail = "") {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s: %s\n", what, detail.c_str());
  std::abort();
}

// Whether `read` refused its input; its message must be one short line for a terminal.
template <typename Read>
bool refused(Read read) {
  try {
    read();
    return false;
  } catch (const UserError& error) {
    const std::string_view message = error.what();
    require(!message.empty() && message.size() <= kMaxMessage, "a message of no sensible length");
    for (const char c : message) {
      require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f', "a control character in a message",
              std::string(message));
    }
    return true;
  }
}

// Keeps `value` from being optimised away, and with it the reading of the bytes it was made from.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

// Adds up bytes, so that a view outside of what was read is noticed.
template <typename Bytes>
void touch(const Bytes& bytes) {
  unsigned sum = 0;
  for (const auto byte : bytes) sum += static_cast<unsigned>(byte);
  keep(sum);
}

// The part of `bytes` before the first record separator (0x1e, which JSON can't hold raw), and what follows:
// for targets that read several files.
inline std::pair<std::string_view, std::string_view> cut(std::string_view bytes) {
  const auto at = bytes.find('\x1e');
  if (at == std::string_view::npos) return {bytes, {}};
  return {bytes.substr(0, at), bytes.substr(at + 1)};
}

// A folder of this process in memory; removed when it ends as it should.
const std::filesystem::path& scratch_folder();

// Writes a file there, anew each time, and returns its path.
std::filesystem::path scratch_file(const std::string& name, std::string_view bytes);

}  // namespace higgs::fuzz
