// The functions of libc that fault_shim stands in front of.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "shim.h"

// libc's function of this name.
#define REAL(name) real<decltype(&::name)>(#name)

namespace {

using namespace higgs::test;

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool creates(int flags) {
  return (flags & (O_CREAT | O_TRUNC)) != 0;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

// A write of `size` bytes, of which `write_some(count)` writes the first.
template <typename Write>
ssize_t written(const Verdict& verdict, std::size_t size, Write write_some) {
  if (verdict.fails) return -1;
  if (!verdict.half) return write_some(size);
  const ssize_t count = write_some(size / 2);
  if (verdict.kills) kill_now();
  return count;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (before(creates(flags) ? "open for writing" : "open", path, creates(flags)).fails) return -1;
  static const auto next = REAL(open);
  return next(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (before(creates(flags) ? "open for writing" : "open", path, creates(flags)).fails) return -1;
  static const auto next = REAL(open64);
  return next(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (before_at(creates(flags) ? "openat for writing" : "openat", folder, path, creates(flags)).fails)
    return -1;
  static const auto next = REAL(openat);
  return next(folder, path, flags, mode);
}

int creat(const char* path, mode_t mode) {
  if (before("creat", path, true).fails) return -1;
  static const auto next = REAL(creat);
  return next(path, mode);
}

FILE* fopen(const char* path, const char* mode) {
  if (before("fopen", path, *mode != 'r').fails) return nullptr;
  static const auto next = REAL(fopen);
  return next(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  if (before("fopen", path, *mode != 'r').fails) return nullptr;
  static const auto next = REAL(fopen64);
  return next(path, mode);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto next = REAL(write);
  return written(before_fd("write", fd, true), size,
                 [&](std::size_t count) { return next(fd, bytes, count); });
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static const auto next = REAL(pwrite);
  return written(before_fd("pwrite", fd, true), size,
                 [&](std::size_t count) { return next(fd, bytes, count, offset); });
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  static const auto next = REAL(pwrite64);
  return written(before_fd("pwrite", fd, true), size,
                 [&](std::size_t count) { return next(fd, bytes, count, offset); });
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto next = REAL(writev);
  return written(before_fd("writev", fd, true), static_cast<std::size_t>(count),
                 [&](std::size_t some) { return next(fd, parts, static_cast<int>(some)); });
}

int fsync(int fd) {
  if (before_fd("fsync", fd, true).fails) return -1;
  static const auto next = REAL(fsync);
  const int result = next(fd);
  if (result == 0) synced(fd);
  return result;
}

int fdatasync(int fd) {
  if (before_fd("fdatasync", fd, true).fails) return -1;
  static const auto next = REAL(fdatasync);
  return next(fd);
}

// A file is closed whatever close() answers.
int close(int fd) {
  static const auto next = REAL(close);
  const bool fails = before_fd("close", fd).fails;
  const int saved = errno, result = next(fd);
  if (!fails) return result;
  errno = saved;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  if (before("rename", from).fails) return -1;
  static const auto next = REAL(rename);
  return next(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  if (before_at("renameat", from_folder, from).fails) return -1;
  static const auto next = REAL(renameat);
  return next(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  if (before_at("renameat2", from_folder, from).fails) return -1;
  static const auto next = REAL(renameat2);
  return next(from_folder, from, to_folder, to, flags);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (before("mkdir", path, true).fails) return -1;
  static const auto next = REAL(mkdir);
  return next(path, mode);
}

int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  if (before_at("mkdirat", folder, path, true).fails) return -1;
  static const auto next = REAL(mkdirat);
  return next(folder, path, mode);
}

int unlink(const char* path) noexcept {
  if (before("unlink", path).fails) return -1;
  static const auto next = REAL(unlink);
  return next(path);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  if (before_at("unlinkat", folder, path).fails) return -1;
  static const auto next = REAL(unlinkat);
  return next(folder, path, flags);
}

int rmdir(const char* path) noexcept {
  if (before("rmdir", path).fails) return -1;
  static const auto next = REAL(rmdir);
  return next(path);
}

int remove(const char* path) noexcept {
  if (before("remove", path).fails) return -1;
  static const auto next = REAL(remove);
  return next(path);
}

int ftruncate(int fd, off_t size) noexcept {
  if (before_fd("ftruncate", fd, true).fails) return -1;
  static const auto next = REAL(ftruncate);
  return next(fd, size);
}

int ftruncate64(int fd, off64_t size) noexcept {
  if (before_fd("ftruncate", fd, true).fails) return -1;
  static const auto next = REAL(ftruncate64);
  return next(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  if (before_fd("fallocate", fd, true).fails) return -1;
  static const auto next = REAL(fallocate);
  return next(fd, mode, offset, size);
}

int stat(const char* path, struct stat* status) noexcept {
  if (before("stat", path).fails) return -1;
  static const auto next = real<int (*)(const char*, struct stat*)>("stat");
  return next(path, status);
}

int lstat(const char* path, struct stat* status) noexcept {
  if (before("lstat", path).fails) return -1;
  static const auto next = real<int (*)(const char*, struct stat*)>("lstat");
  return next(path, status);
}

int fstat(int fd, struct stat* status) noexcept {
  if (before_fd("fstat", fd).fails) return -1;
  static const auto next = real<int (*)(int, struct stat*)>("fstat");
  return next(fd, status);
}

int fstatat(int folder, const char* path, struct stat* status, int flags) noexcept {
  if (before_at("fstatat", folder, path).fails) return -1;
  static const auto next = real<int (*)(int, const char*, struct stat*, int)>("fstatat");
  return next(folder, path, status, flags);
}

// What programs built for a glibc before 2.33 call instead (LibTorch's own std::filesystem does).
int __xstat(int version, const char* path, struct stat* status) noexcept {
  if (before("stat", path).fails) return -1;
  static const auto next = real<int (*)(int, const char*, struct stat*)>("__xstat");
  return next(version, path, status);
}

int __lxstat(int version, const char* path, struct stat* status) noexcept {
  if (before("lstat", path).fails) return -1;
  static const auto next = real<int (*)(int, const char*, struct stat*)>("__lxstat");
  return next(version, path, status);
}

int __fxstat(int version, int fd, struct stat* status) noexcept {
  if (before_fd("fstat", fd).fails) return -1;
  static const auto next = real<int (*)(int, int, struct stat*)>("__fxstat");
  return next(version, fd, status);
}

int statvfs(const char* path, struct statvfs* status) noexcept {
  if (before("statvfs", path).fails) return -1;
  static const auto next = real<int (*)(const char*, struct statvfs*)>("statvfs");
  return next(path, status);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0 && before_fd("mmap", fd).fails) return MAP_FAILED;
  static const auto next = REAL(mmap);
  return next(address, size, protection, flags, fd, offset);
}

DIR* opendir(const char* path) {
  if (before("opendir", path).fails) return nullptr;
  static const auto next = REAL(opendir);
  return next(path);
}

DIR* fdopendir(int fd) {
  if (before_fd("fdopendir", fd).fails) return nullptr;
  static const auto next = REAL(fdopendir);
  return next(fd);
}

dirent* readdir(DIR* folder) {
  if (before_fd("readdir", ::dirfd(folder)).fails) return nullptr;
  static const auto next = REAL(readdir);
  return next(folder);
}

int closedir(DIR* folder) {
  static const auto next = REAL(closedir);
  const bool fails = before_fd("closedir", ::dirfd(folder)).fails;
  const int saved = errno, result = next(folder);
  if (!fails) return result;
  errno = saved;
  return -1;
}

}  // extern "C"
