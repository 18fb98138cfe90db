#include "support/pth_writer.h"

#include <cstring>

namespace higgs::test {
namespace {

std::string little_endian(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// Bit by bit, as the standard words it.
std::uint32_t checksum(const ZipRecord& record) {
  if (!record.has_checksum) return 0;
  std::uint32_t crc = 0xffffffff;
  for (const char c : record.bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

constexpr std::uint32_t kWide = 0xffffffff;

std::string central_entry(const ZipRecord& record, std::uint64_t offset, bool zip64) {
  const std::uint64_t size = record.bytes.size();
  const std::string extra = zip64 ? little_endian(0x1234, 2) + little_endian(2, 2) + "xx" +
                                        little_endian(1, 2) + little_endian(24, 2) + little_endian(size, 8) +
                                        little_endian(size, 8) + little_endian(offset, 8)
                                  : "";
  const auto narrow = [&](std::uint64_t value) { return little_endian(zip64 ? kWide : value, 4); };
  return "PK\x01\x02" + little_endian(0, 4) + little_endian(0, 2) +
         little_endian(static_cast<std::uint64_t>(record.method), 2) + little_endian(0, 4) +
         little_endian(checksum(record), 4) + narrow(size) + narrow(size) +
         little_endian(record.name.size(), 2) + little_endian(extra.size(), 2) + std::string(10, '\0') +
         narrow(offset) + record.name + extra;
}

}  // namespace

std::string zip_bytes(const std::vector<ZipRecord>& records, bool zip64) {
  std::string archive, directory;
  for (const ZipRecord& record : records) {
    directory += central_entry(record, archive.size(), zip64);
    const std::uint64_t size = zip64 ? kWide : record.bytes.size();
    const std::string header =
        "PK\x03\x04" + little_endian(0, 4) + little_endian(static_cast<std::uint64_t>(record.method), 2) +
        little_endian(0, 4) + little_endian(checksum(record), 4) + little_endian(size, 4) +
        little_endian(size, 4) + little_endian(record.name.size(), 2);
    // The bytes begin at a multiple of 64, as torch.save has it.
    const std::size_t begin = archive.size() + header.size() + 2 + record.name.size();
    const std::size_t padding = (64 - begin % 64) % 64;
    archive += header + little_endian(padding, 2) + record.name + std::string(padding, '\0') + record.bytes;
  }
  const std::uint64_t offset = archive.size(), count = records.size(), size = directory.size();
  archive += directory;
  if (zip64) {
    const std::uint64_t end64 = archive.size();
    archive += "PK\x06\x06" + little_endian(44, 8) + little_endian(0, 4) + little_endian(0, 8) +
               little_endian(count, 8) + little_endian(count, 8) + little_endian(size, 8) +
               little_endian(offset, 8);
    archive += "PK\x06\x07" + little_endian(0, 4) + little_endian(end64, 8) + little_endian(1, 4);
  }
  const auto narrow = [&](std::uint64_t value, std::size_t width) {
    return little_endian(zip64 ? kWide : value, width);
  };
  return archive + "PK\x05\x06" + little_endian(0, 4) + narrow(count, 2) + narrow(count, 2) +
         narrow(size, 4) + narrow(offset, 4) + little_endian(0, 2);
}

std::string pickled_text(const std::string& text) {
  return "X" + little_endian(text.size(), 4) + text;
}

std::string pickled_number(std::int64_t number) {
  return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(number), 8);
}

std::string pickled_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

std::string pickled_numbers(const std::vector<std::int64_t>& numbers) {
  std::string text = "(";
  for (const std::int64_t number : numbers) text += pickled_number(number);
  return text + "t";
}

std::string pickled_tensor(const StoredView& view) {
  const std::string storage = "(" + pickled_text("storage") + pickled_global("torch", view.type) +
                              pickled_text(view.key) + pickled_text("cpu") +
                              pickled_number(view.storage_numel) + "tQ";
  const std::string no_hooks = pickled_global("collections", "OrderedDict") + ")R";
  return pickled_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + pickled_number(view.offset) +
         pickled_numbers(view.shape) + pickled_numbers(view.strides) + "\x89" + no_hooks + "tR";
}

std::string pickled_state_dict(const StoredView& view) {
  return kPickleBegin + "}" + pickled_text("t") + pickled_tensor(view) + "s.";
}

std::vector<ZipRecord> pth_records(const std::string& pickle, const std::vector<std::string>& storages) {
  std::vector<ZipRecord> records = {{"model/data.pkl", pickle}, {"model/byteorder", "little"}};
  for (std::size_t i = 0; i < storages.size(); ++i) {
    records.push_back({"model/data/" + std::to_string(i), storages[i]});
  }
  records.push_back({"model/version", "3\n"});
  return records;
}

std::string pth_bytes(const std::vector<FloatTensor>& tensors) {
  std::string pickle = kPickleBegin + pickled_global("collections", "OrderedDict") + ")R(";
  std::vector<std::string> storages;
  for (const FloatTensor& tensor : tensors) {
    const auto numel = static_cast<std::int64_t>(tensor.values.size());
    std::vector<std::int64_t> strides(tensor.shape.size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
    pickle += pickled_text(tensor.name) +
              pickled_tensor({std::to_string(storages.size()), numel, tensor.shape, strides});
    std::string bytes(tensor.values.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), tensor.values.data(), bytes.size());
    storages.push_back(std::move(bytes));
  }
  return zip_bytes(pth_records(pickle + "u.", storages));
}

}  // namespace higgs::test
