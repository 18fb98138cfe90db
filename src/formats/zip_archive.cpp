#include "zip_archive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "higgs/base/error.h"
#include "higgs/base/lfs.h"

namespace higgs::zip {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50, kEnd64 = 0x06064b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64LocatorSize = 20,
                      kEnd64Size = 56;
constexpr std::uint64_t kMaxRecords = 1u << 20;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the real value stands in the zip64 fields
constexpr unsigned kEncrypted = 1, kSizesFollow = 8;

// Little-endian fields of a file, each read checked against its end.
class Fields {
 public:
  Fields(std::span<const std::byte> file, const std::string& where) : file_(file), where_(where) {}

  template <typename T>
  T get(std::uint64_t offset) const {
    const auto bytes = range(offset, sizeof(T));
    T value{};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[i]) << (8 * i)));
    }
    return value;
  }
  std::uint16_t u16(std::uint64_t offset) const { return get<std::uint16_t>(offset); }
  std::uint32_t u32(std::uint64_t offset) const { return get<std::uint32_t>(offset); }
  std::uint64_t u64(std::uint64_t offset) const { return get<std::uint64_t>(offset); }

  std::span<const std::byte> range(std::uint64_t offset, std::uint64_t size) const {
    if (offset > file_.size() || size > file_.size() - offset) {
      fail("a record of its directory lies outside the file (truncated or damaged?)");
    }
    return file_.subspan(offset, size);
  }
  std::string text(std::uint64_t offset, std::size_t size) const {
    const auto bytes = range(offset, size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::uint64_t size() const { return file_.size(); }
  [[noreturn]] void fail(const std::string& what) const { throw UserError(where_ + ": " + what); }

 private:
  std::span<const std::byte> file_;
  const std::string& where_;
};

struct Directory {
  std::uint64_t offset = 0, size = 0, num_records = 0;
};

// The end record is the file's last thing, but for a comment of a length it tells.
std::uint64_t find_end(const Fields& fields) {
  if (fields.size() >= kEndSize) {
    const std::uint64_t last = fields.size() - kEndSize;
    const std::uint64_t first = last > 0xffff ? last - 0xffff : 0;
    for (std::uint64_t at = last + 1; at-- > first;) {
      if (fields.u32(at) == kEnd && at + kEndSize + fields.u16(at + 20) == fields.size()) return at;
    }
  }
  const std::string begin = fields.text(0, std::min<std::size_t>(fields.size(), 24));
  if (is_lfs_pointer(begin)) {
    fields.fail("is a git-LFS pointer, not the file itself; run `git lfs pull` in its repository");
  }
  fields.fail(begin.starts_with("PK\x03\x04")
                  ? "is truncated: the zip archive's directory is missing; get the file again"
                  : "is no zip archive (PyTorch before 1.6 wrote others); load it and torch.save it again");
}

Directory find_directory(const Fields& fields) {
  const std::uint64_t end = find_end(fields);
  Directory directory{fields.u32(end + 16), fields.u32(end + 12), fields.u16(end + 10)};
  std::uint64_t limit = end;
  if (end >= kEnd64LocatorSize && fields.u32(end - kEnd64LocatorSize) == kEnd64Locator) {
    const std::uint64_t end64 = fields.u64(end - kEnd64LocatorSize + 8);
    if (fields.range(end64, kEnd64Size).empty() || fields.u32(end64) != kEnd64) {
      fields.fail("the zip archive's directory is damaged");
    }
    directory = {fields.u64(end64 + 48), fields.u64(end64 + 40), fields.u64(end64 + 32)};
    limit = end64;
  }
  if (directory.offset > limit || directory.size > limit - directory.offset) {
    fields.fail("the zip archive's directory lies outside the file (truncated or damaged?)");
  }
  if (directory.num_records > kMaxRecords || directory.num_records > directory.size / kCentralSize) {
    fields.fail("the zip archive's directory is damaged");
  }
  return directory;
}

struct Entry {
  std::string name;
  std::uint32_t crc;
  std::uint64_t stored_size, size, header;
  std::uint64_t data = 0;  // where the bytes begin
};

// Replaces those of the three numbers that did not fit in 32 bits, in the order zip64 gives them.
void widen(Entry& entry, const Fields& fields, std::uint64_t extra, std::uint64_t extra_end) {
  std::vector<std::uint64_t*> wide;
  for (std::uint64_t* number : {&entry.size, &entry.stored_size, &entry.header}) {
    if (*number == kIn64) wide.push_back(number);
  }
  if (wide.empty()) return;
  while (extra + 4 <= extra_end) {
    const std::uint16_t id = fields.u16(extra), size = fields.u16(extra + 2);
    extra += 4;
    if (id == 1 && size >= 8 * wide.size() && extra + size <= extra_end) {
      for (std::size_t i = 0; i < wide.size(); ++i) *wide[i] = fields.u64(extra + 8 * i);
      return;
    }
    extra += size;
  }
  fields.fail("record '" + printable(entry.name) + "': its zip64 fields are missing");
}

// Checks the local header against the directory and finds the bytes behind it.
void locate(Entry& entry, const Fields& fields, std::uint64_t limit) {
  const std::string where = "record '" + printable(entry.name) + "' ";
  if (entry.header > limit || limit - entry.header < kLocalSize || fields.u32(entry.header) != kLocalHeader) {
    fields.fail(where + "is not where the directory says (damaged?)");
  }
  const unsigned flags = fields.u16(entry.header + 6);
  const std::uint16_t name_size = fields.u16(entry.header + 26);
  if (fields.u16(entry.header + 8) != 0 || (flags & kEncrypted) != 0 || name_size != entry.name.size() ||
      fields.text(entry.header + kLocalSize, name_size) != entry.name) {
    fields.fail(where + "differs from what the directory says (damaged?)");
  }
  const std::uint32_t size = fields.u32(entry.header + 22);
  if ((flags & kSizesFollow) == 0 && size != kIn64 && size != entry.size) {
    fields.fail(where + "has another size than the directory says (damaged?)");
  }
  entry.data = entry.header + kLocalSize + name_size + fields.u16(entry.header + 28);
  if (entry.data > limit || entry.size > limit - entry.data) {
    fields.fail(where + "lies outside the file (truncated or damaged?)");
  }
}

// Reads the entry at `at` and moves `at` behind it.
Entry read_entry(const Fields& fields, std::uint64_t& at, std::uint64_t directory_end) {
  if (directory_end - at < kCentralSize || fields.u32(at) != kCentralHeader) {
    fields.fail("the zip archive's directory is damaged");
  }
  const std::uint16_t name_size = fields.u16(at + 28), extra_size = fields.u16(at + 30);
  const std::uint64_t extra = at + kCentralSize + name_size;
  const std::uint64_t next = extra + extra_size + fields.u16(at + 32);
  if (next > directory_end) fields.fail("the zip archive's directory is damaged");
  Entry entry{fields.text(at + kCentralSize, name_size), fields.u32(at + 16), fields.u32(at + 20),
              fields.u32(at + 24), fields.u32(at + 42)};
  const std::string where = "record '" + printable(entry.name) + "' ";
  if ((fields.u16(at + 8) & kEncrypted) != 0) fields.fail(where + "is encrypted");
  if (fields.u16(at + 10) != 0) {
    fields.fail(where + "is compressed; torch.save writes records uncompressed: save the file with it again");
  }
  widen(entry, fields, extra, extra + extra_size);
  if (entry.stored_size != entry.size) fields.fail(where + "has two sizes (damaged?)");
  at = next;
  return entry;
}

void check_overlap(std::vector<Entry>& entries, const Fields& fields) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.header < b.header; });
  for (std::size_t i = 1; i < entries.size(); ++i) {
    if (entries[i - 1].data + entries[i - 1].size > entries[i].header) {
      fields.fail("records '" + printable(entries[i - 1].name) + "' and '" + printable(entries[i].name) +
                  "' overlap");
    }
  }
}

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320u : 0u);
    table[0][i] = value;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
    }
  }
  return table;
}

}  // namespace

std::map<std::string, Record> read_directory(std::span<const std::byte> file, const std::string& where) {
  const Fields fields(file, where);
  const Directory directory = find_directory(fields);
  const std::uint64_t end = directory.offset + directory.size;
  std::vector<Entry> entries;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.num_records; ++i) {
    entries.push_back(read_entry(fields, at, end));
    locate(entries.back(), fields, directory.offset);
  }
  if (at != end) fields.fail("the zip archive's directory is damaged");
  check_overlap(entries, fields);
  std::map<std::string, Record> records;
  for (const Entry& entry : entries) {
    if (!records.emplace(entry.name, Record{fields.range(entry.data, entry.size), entry.crc}).second) {
      fields.fail("record '" + printable(entry.name) + "' is there twice");
    }
  }
  return records;
}

// Eight bytes a step: tables of the remainders of a byte followed by 0 to 7 others.
std::uint32_t crc32(std::span<const std::byte> bytes) {
  static const Table table = make_table();
  std::uint32_t crc = 0xffffffff;
  while (bytes.size() >= 8) {
    std::uint32_t low = 0, high = 0;
    std::memcpy(&low, bytes.data(), 4);
    std::memcpy(&high, bytes.data() + 4, 4);
    low ^= crc;
    crc = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^
          table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][(high >> 8) & 0xff] ^
          table[1][(high >> 16) & 0xff] ^ table[0][high >> 24];
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes)
    crc = (crc >> 8) ^ table[0][(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~crc;
}

std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 100;
  std::string text;
  for (const char c : name.substr(0, kLongest)) {
    text += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  }
  return name.size() > kLongest ? text + "..." : text;
}

}  // namespace higgs::zip
