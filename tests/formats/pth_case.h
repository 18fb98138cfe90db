// Damaged .pth files and what reading them fails with.
#pragma once

#include <gmock/gmock.h>

#include <span>
#include <string>
#include <vector>

#include "higgs/formats/pth.h"
#include "support/paths.h"
#include "support/pth_writer.h"

namespace higgs::test {

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// What reading these bytes fails with; one line, whatever the bytes say.
inline std::string error_of(const std::string& bytes) {
  const std::string message = user_error([&] { PthFile(bytes_of(bytes), "f.pth"); });
  EXPECT_THAT(message, testing::StartsWith("f.pth: "));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

// {"t": a float32 tensor of `shape` over a storage of `numel`}.
inline std::string file_of(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                           std::int64_t offset, std::size_t numel) {
  const StoredView view{"0", static_cast<std::int64_t>(numel), shape, strides, offset};
  return zip_bytes(pth_records(pickled_state_dict(view), {std::string(4 * numel, 'x')}));
}

inline std::string file_of_pickle(const std::string& pickle) {
  return zip_bytes(pth_records(pickle, {std::string(24, 'x')}));
}

}  // namespace higgs::test
