// A folder with one encoded clip (c0.safetensors), and data sets of manifests in it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fake_tokenizer.h"
#include "higgs/data/dataset.h"
#include "support/paths.h"

namespace higgs::test {

class DatasetCase : public ::testing::Test {
 protected:
  DatasetCase()
      : store([]() -> std::unique_ptr<AudioTokenizer> { throw UserError("no codec"); }, "", 8, 1024) {
    ids.audio_in = tokenizer.id_of("<|AUDIO|>");
    ids.audio_out = tokenizer.id_of("<|AUDIO_OUT|>");
    ids.num_codebooks = 8;
    ids.codebook_size = 1024;
    ids.stream_bos = 1024;
    ids.stream_eos = 1025;
    fs::copy_file(golden("e2e/codes/c0.safetensors"), folder / "c0.safetensors");
  }

  Dataset load(const std::string& lines, const DatasetOptions& options = {}) {
    write_file_atomically(folder / "m.jsonl", lines);
    return Dataset::load(folder / "m.jsonl", tokenizer, store, ids, options);
  }

  TemporaryFolder folder;
  FakeTokenizer tokenizer;
  CodeStore store;
  SpecialIds ids;
};

}  // namespace higgs::test
