#include "folders.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support/process.h"

namespace higgs::test {
namespace {

std::string size_option(int kibibytes) {
  return "size=" + std::to_string(kibibytes) + "k";
}

std::optional<std::string> outcome(int result, const char* what) {
  if (result == 0) return std::nullopt;
  return std::string(what) + ": " + std::strerror(errno);
}

}  // namespace

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::create_directories(to.parent_path());
  fs::copy(from, to, fs::copy_options::recursive);
}

std::optional<std::string> own_mounts() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) {
    return std::string("no right to mount (unshare): ") + std::strerror(errno);
  }
  if (user != 0) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
    write_text("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
  }
  return outcome(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "no right to mount");
}

std::optional<std::string> mount_in_memory(const fs::path& folder, int kibibytes) {
  fs::create_directories(folder);
  return outcome(::mount("tmpfs", folder.c_str(), "tmpfs", 0, size_option(kibibytes).c_str()),
                 "mounting a tmpfs");
}

std::optional<std::string> change_size(const fs::path& folder, int kibibytes) {
  return outcome(::mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT, size_option(kibibytes).c_str()),
                 "mounting a tmpfs again");
}

std::optional<std::string> make_read_only(const fs::path& folder) {
  if (const auto fault =
          outcome(::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr), "mount --bind")) {
    return fault;
  }
  return outcome(::mount(folder.c_str(), folder.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
                 "mounting read-only");
}

void unmount(const fs::path& folder) {
  ::umount2(folder.c_str(), MNT_DETACH);
}

}  // namespace higgs::test
