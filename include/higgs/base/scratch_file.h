// Bytes put aside for as long as a process runs: a file without a name, which is gone with the process,
// however it ends. Its pages are the page cache's, to be written out when memory is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "higgs/base/file.h"

namespace higgs {

class ScratchFile {
 public:
  // On the disk of `folder`; in memory where there is no such folder or no file can be made in it.
  explicit ScratchFile(const fs::path& folder);
  // Another process's, finished and still running: see address(). RunError when it can't be opened.
  static ScratchFile open(const std::string& address);
  ~ScratchFile();
  ScratchFile(ScratchFile&& other) noexcept;
  ScratchFile& operator=(ScratchFile&&) = delete;

  // When the disk is full, all goes on in memory, with a warning. RunError when that doesn't work either.
  void append(std::span<const std::byte> bytes);
  // Appended so far.
  std::uint64_t size() const { return size_; }
  // To be called once, after the last append().
  void finish();

  // Of a finished file; any number of threads at once. RunError when the disk fails.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  // All of it, mapped; aligned for any type.
  std::span<const std::byte> mapped() const { return {mapping_, mapping_ != nullptr ? size_ : 0}; }
  void map();

  // Names the file to other processes of this user on this machine.
  std::string address() const;
  bool in_memory() const { return in_memory_; }

 private:
  ScratchFile(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  void flush();
  void move_to_memory(const std::string& why);

  int fd_ = -1;
  bool in_memory_ = false;
  std::uint64_t size_ = 0;
  std::string buffer_;
  const std::byte* mapping_ = nullptr;
};

}  // namespace higgs
