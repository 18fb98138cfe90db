#include "higgs/data/sample_bytes.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "higgs/base/error.h"
#include "higgs/data/clip_file.h"

namespace higgs {
namespace {

class Writer {
 public:
  template <typename T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <typename T>
  void put_list(std::span<const T> values) {
    put(static_cast<std::uint64_t>(values.size()));
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  }
  void put_text(const std::string& text) { put_list(std::span<const char>(text)); }
  // Ids and labels, in half the bytes.
  void put_ids(const std::vector<std::int64_t>& ids) {
    put(static_cast<std::uint64_t>(ids.size()));
    for (const std::int64_t id : ids) {
      HIGGS_ASSERT(id >= std::numeric_limits<std::int32_t>::min() &&
                   id <= std::numeric_limits<std::int32_t>::max());
      put(static_cast<std::int32_t>(id));
    }
  }
  template <typename T>
  void put_optional(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T take() {
    T value;
    copy(&value, sizeof value);
    return value;
  }
  template <typename List>
  List take_list() {
    List values;
    values.resize(take<std::uint64_t>());
    copy(values.data(), values.size() * sizeof(typename List::value_type));
    return values;
  }
  std::vector<std::int64_t> take_ids() {
    const auto ids = take_list<std::vector<std::int32_t>>();
    return {ids.begin(), ids.end()};
  }
  template <typename T>
  std::optional<T> take_optional() {
    return take<bool>() ? std::optional(take<T>()) : std::nullopt;
  }
  bool empty() const { return rest_.empty(); }

 private:
  void copy(void* out, std::size_t size) {
    HIGGS_ASSERT(size <= rest_.size());
    if (size > 0) std::memcpy(out, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  std::span<const std::byte> rest_;
};

void put_heard(const HeardClip& heard, Writer& out) {
  const bool is_heard = heard.read != nullptr;
  out.put(heard.num_samples);
  out.put(is_heard);
  if (!is_heard) return;
  out.put_text(heard.hash);
  out.put_text(heard.clip.audio_url);
  out.put(heard.clip.raw_audio.has_value());
  if (heard.clip.raw_audio) out.put_text(*heard.clip.raw_audio);
  out.put_optional(heard.clip.offset);
  out.put_optional(heard.clip.duration);
}

HeardClip take_heard(Reader& in, const ClipFolder& clips, const std::string& where) {
  HeardClip heard;
  heard.num_samples = in.take<std::int64_t>();
  if (!in.take<bool>()) return heard;
  heard.hash = in.take_list<std::string>();
  heard.clip.audio_url = in.take_list<std::string>();
  if (in.take<bool>()) heard.clip.raw_audio = in.take_list<std::string>();
  heard.clip.offset = in.take_optional<double>();
  heard.clip.duration = in.take_optional<double>();
  heard.read = heard_clip_reader(heard.clip, clips, where);
  return heard;
}

}  // namespace

std::string sample_bytes(const EncodedSample& sample) {
  HIGGS_ASSERT(sample.label_codes.empty());
  Writer out;
  out.put_ids(sample.input_ids);
  out.put(sample.label_ids.has_value());
  if (sample.label_ids) out.put_ids(*sample.label_ids);
  out.put(static_cast<std::uint64_t>(sample.codes.size()));
  for (const Codes& codes : sample.codes) {
    out.put(codes.num_codebooks);
    out.put(codes.num_frames);
    out.put_list(std::span<const std::int16_t>(codes.values));
  }
  out.put(static_cast<std::uint64_t>(sample.heard.size()));
  for (const HeardClip& heard : sample.heard) put_heard(heard, out);
  return out.take();
}

EncodedSample sample_from_bytes(std::span<const std::byte> bytes, const ClipFolder& clips,
                                const std::string& where) {
  Reader in(bytes);
  EncodedSample sample;
  sample.where = where;
  sample.input_ids = in.take_ids();
  if (in.take<bool>()) sample.label_ids = in.take_ids();
  sample.codes.resize(in.take<std::uint64_t>());
  for (Codes& codes : sample.codes) {
    codes.num_codebooks = in.take<std::int64_t>();
    codes.num_frames = in.take<std::int64_t>();
    codes.values = in.take_list<std::vector<std::int16_t>>();
  }
  sample.heard.resize(in.take<std::uint64_t>());
  for (HeardClip& heard : sample.heard) heard = take_heard(in, clips, where);
  HIGGS_ASSERT(in.empty());
  return sample;
}

}  // namespace higgs
