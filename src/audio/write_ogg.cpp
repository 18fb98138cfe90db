#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

// A file in memory, as libsndfile wants it.
struct Memory {
  std::string bytes;
  sf_count_t at = 0;
};

SF_VIRTUAL_IO memory_io() {
  SF_VIRTUAL_IO io{};
  io.get_filelen = [](void* file) {
    return static_cast<sf_count_t>(static_cast<Memory*>(file)->bytes.size());
  };
  io.seek = [](sf_count_t offset, int whence, void* file) {
    auto& memory = *static_cast<Memory*>(file);
    const auto size = static_cast<sf_count_t>(memory.bytes.size());
    memory.at = offset + (whence == SEEK_CUR ? memory.at : whence == SEEK_END ? size : 0);
    return memory.at;
  };
  io.read = [](void* to, sf_count_t count, void* file) {
    auto& memory = *static_cast<Memory*>(file);
    const sf_count_t rest = std::max<sf_count_t>(0, static_cast<sf_count_t>(memory.bytes.size()) - memory.at);
    const sf_count_t taken = std::min(count, rest);
    std::memcpy(to, memory.bytes.data() + memory.at, static_cast<std::size_t>(taken));
    memory.at += taken;
    return taken;
  };
  io.write = [](const void* from, sf_count_t count, void* file) {
    auto& memory = *static_cast<Memory*>(file);
    const auto end = static_cast<std::size_t>(memory.at + count);
    if (memory.bytes.size() < end) memory.bytes.resize(end);
    std::memcpy(memory.bytes.data() + memory.at, from, static_cast<std::size_t>(count));
    memory.at += count;
    return count;
  };
  io.tell = [](void* file) { return static_cast<Memory*>(file)->at; };
  return io;
}

}  // namespace

std::string ogg_bytes(std::span<const float> samples, int sample_rate, const std::string& name) {
  std::vector<float> clipped(samples.begin(), samples.end());
  for (float& sample : clipped) {
    if (!std::isfinite(sample)) throw RunError(name + ": a sample is not a finite number");
    sample = std::clamp(sample, -1.0f, 1.0f);
  }
  Memory memory;
  SF_VIRTUAL_IO io = memory_io();
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = 1;
  info.format = SF_FORMAT_OGG | SF_FORMAT_VORBIS;
  {
    const std::unique_ptr<SNDFILE, decltype(&sf_close)> file(sf_open_virtual(&io, SFM_WRITE, &info, &memory),
                                                             &sf_close);
    if (file == nullptr) throw RunError(name + ": can't be written as Ogg Vorbis: " + sf_strerror(nullptr));
    // libsndfile 1.2's encoder overflows its stack on one long write.
    constexpr sf_count_t kBlock = 4096;
    for (sf_count_t i = 0; i < static_cast<sf_count_t>(clipped.size()); i += kBlock) {
      const sf_count_t count = std::min(kBlock, static_cast<sf_count_t>(clipped.size()) - i);
      if (sf_write_float(file.get(), clipped.data() + i, count) != count)
        throw RunError(name + ": can't be written as Ogg Vorbis: " + sf_strerror(file.get()));
    }
  }
  return std::move(memory.bytes);
}

}  // namespace higgs
