// The zip container of a .pth file: records stored as they are, found through the central directory (with its
// zip64 form). Every bound is checked before a byte is handed out; nothing is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace higgs::zip {

struct Record {
  std::span<const std::byte> bytes;
  std::uint32_t crc = 0;  // 0: the writer computed none
};

// By name. UserError, `where` in front: not a zip archive, truncated, a record that is compressed, encrypted,
// outside the file, overlapping another, or there twice.
std::map<std::string, Record> read_directory(std::span<const std::byte> file, const std::string& where);

// The checksum zip archives carry.
std::uint32_t crc32(std::span<const std::byte> bytes);

// A name from a file, fit for a message of one line: unprintable characters replaced, shortened.
std::string printable(std::string_view name);

}  // namespace higgs::zip
