// Writes .pth files as torch.save does, and ones that it never would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace higgs::test {

struct ZipRecord {
  std::string name;
  std::string bytes;
  int method = 0;            // 0: stored as it is
  bool has_checksum = true;  // torch.save can be told to write none
};

// With `zip64`, every size and offset stands in the wide fields, as in archives of more than 4 GiB.
std::string zip_bytes(const std::vector<ZipRecord>& records, bool zip64 = false);

// Pieces of a pickle; a whole one is kPickleBegin + pieces + ".".
inline const std::string kPickleBegin = "\x80\x02";
std::string pickled_text(const std::string& text);
std::string pickled_number(std::int64_t number);
std::string pickled_global(const std::string& module, const std::string& name);
std::string pickled_numbers(const std::vector<std::int64_t>& numbers);  // a tuple

// A tensor that is a view of the storage `key`, in elements.
struct StoredView {
  std::string key;
  std::int64_t storage_numel = 0;
  std::vector<std::int64_t> shape, strides;
  std::int64_t offset = 0;
  std::string type = "FloatStorage";
};
std::string pickled_tensor(const StoredView& view);
// {"t": tensor}
std::string pickled_state_dict(const StoredView& view);

// The archive of a pickle and its storages 0, 1, ...
std::vector<ZipRecord> pth_records(const std::string& pickle, const std::vector<std::string>& storages);

// A state dict of float32 tensors, each with its own storage.
struct FloatTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
std::string pth_bytes(const std::vector<FloatTensor>& tensors);

}  // namespace higgs::test
