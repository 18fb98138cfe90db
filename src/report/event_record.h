// The records of a TensorBoard event file, byte for byte: protobuf messages `Event` in TFRecord's framing.
// Field numbers: tensorboard/compat/proto/event.proto and summary.proto. Framing and masked checksum:
// tensorflow/core/lib/io/record_writer.h (class comment) and tensorflow/core/lib/hash/crc32c.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/report/tensorboard.h"

namespace higgs {

// CRC-32C (Castagnoli), RFC 3720 section 12.1.
std::uint32_t crc32c(std::string_view bytes);

// Length, its checksum, the bytes, their checksum; little-endian.
std::string event_record(std::string_view event);

// Events, not yet framed. `wall_time`: seconds since 1970.
std::string version_event(double wall_time);  // an event file begins with it
// "What comes after this file's beginning replaces points of `step` and later."
std::string session_start_event(double wall_time, std::int64_t step);
std::string scalars_event(double wall_time, std::int64_t step, const std::vector<Scalar>& scalars);
// `wav`: the bytes of a WAV file of one channel.
std::string audio_event(double wall_time, std::int64_t step, const std::string& tag, const std::string& wav,
                        std::int64_t num_samples, int sample_rate);

}  // namespace higgs
