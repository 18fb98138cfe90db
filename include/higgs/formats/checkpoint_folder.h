// Checkpoint folders: complete or absent. Files are written into a temporary folder beside the final one,
// listed with sizes and hashes in MANIFEST.json, synced, and the folder renamed into place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/formats/staged_folder.h"

namespace higgs {

// Collects a checkpoint; nothing is visible under the final name until commit(), which replaces what is
// there.
class CheckpointWriter {
 public:
  // RunError when the temporary folder can't be made.
  explicit CheckpointWriter(const fs::path& final_folder) : final_(final_folder), staged_(final_folder) {}

  const fs::path& folder() const { return staged_.path(); }  // write the files here
  void commit();

 private:
  fs::path final_;
  StagedFolder staged_;
};

// Why the folder is not a complete checkpoint with these files among its own, or nothing when it is.
std::optional<std::string> checkpoint_fault(const fs::path& folder,
                                            const std::vector<std::string>& required = {});

struct CheckpointEntry {
  std::int64_t step = 0;
  fs::path folder;
};

// Folders named step-NNNNNN in `root`, newest first; complete or not. RunError when it can't be listed.
std::vector<CheckpointEntry> list_checkpoints(const fs::path& root);

// "step-000200"
std::string checkpoint_name(std::int64_t step);

}  // namespace higgs
