#include "event_record.h"

#include <array>
#include <bit>

namespace higgs {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}

// Sums that are stored beside what they sum would make a sum over both useless; hence the mask.
std::uint32_t masked_crc32c(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFF);
  return bytes;
}

// A protobuf message under construction: https://protobuf.dev/programming-guides/encoding/.
class Message {
 public:
  Message& number(int field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& number(int field, double value) {
    key(field, 1);
    bytes_ += little_endian(std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& number(int field, float value) {
    key(field, 5);
    bytes_ += little_endian(std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& text() const { return bytes_; }

 private:
  void key(int field, unsigned wire_type) { varint(static_cast<unsigned>(field) << 3 | wire_type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7F) | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

Message event(double wall_time, std::int64_t step) {
  Message message;
  message.number(1, wall_time);
  if (step != 0) message.number(2, step);  // proto3: 0 is what a field is that isn't there
  return message;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_table();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  return crc ^ 0xFFFFFFFFu;
}

std::string event_record(std::string_view event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.size()));
  std::string record = length + little_endian(masked_crc32c(length));
  record += event;
  return record + little_endian(masked_crc32c(event));
}

std::string version_event(double wall_time) {
  return event(wall_time, 0).bytes(3, "brain.Event:2").text();
}

std::string session_start_event(double wall_time, std::int64_t step) {
  constexpr std::int64_t kStart = 1;
  return event(wall_time, step).message(7, Message().number(1, kStart)).text();
}

std::string scalars_event(double wall_time, std::int64_t step, const std::vector<Scalar>& scalars) {
  Message summary;
  for (const Scalar& scalar : scalars) {
    summary.message(1, Message().bytes(1, scalar.tag).number(2, static_cast<float>(scalar.value)));
  }
  return event(wall_time, step).message(5, summary).text();
}

std::string audio_event(double wall_time, std::int64_t step, const std::string& tag, const std::string& wav,
                        std::int64_t num_samples, int sample_rate) {
  const Message audio = Message()
                            .number(1, static_cast<float>(sample_rate))
                            .number(2, std::int64_t{1})
                            .number(3, num_samples)
                            .bytes(4, wav)
                            .bytes(5, "audio/wav");
  // Without it TensorBoard's data server hands the sound out as "application/octet-stream". From the proto of
  // its plugin (tensorboard/plugins/audio/plugin_data.proto) and summary.proto's DataClass.
  constexpr std::int64_t kWav = 11, kBlobSequence = 3;
  const Message metadata = Message()
                               .message(1, Message().bytes(1, "audio").message(2, Message().number(2, kWav)))
                               .number(4, kBlobSequence);
  return event(wall_time, step)
      .message(5, Message().message(1, Message().bytes(1, tag).message(6, audio).message(9, metadata)))
      .text();
}

}  // namespace higgs
