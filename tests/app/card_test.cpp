// README.md of an adapter and of a merged checkpoint: what they say of the base, its licence and the
// training.
#include "train_process.h"

namespace higgs::test {
namespace {

class Card : public TrainTest {
 protected:
  // A base with the card of a hub's page, `front` being its front matter.
  fs::path base_with_card(const std::string& front) const {
    fs::copy(golden("hf/model"), scratch / "base", fs::copy_options::recursive);
    write("base/README.md", "---\n" + front + "---\n# Base\n");
    return scratch / "base";
  }
  Arguments train_on(const fs::path& base) const {
    return command("run") + Arguments{"--base_ckpt", base, "--seed",       "7", "--max_steps", "2",
                                      "--lora_r",    "3",  "--lora_alpha", "6", "--lr",        "1e-3"};
  }
  std::string card(const fs::path& folder) const { return text_of(scratch / folder / "README.md"); }
  static void expect_parts(const std::string& card, const std::vector<std::string>& parts) {
    for (const std::string& part : parts)
      EXPECT_NE(card.find(part), std::string::npos) << part << "in:\n" << card;
  }
};

TEST_F(Card, OfAnAdapterNamesBaseLicenceAndTraining) {
  run(train_on(base_with_card("license: other\nlicense_name: some-licence\nlicense_link: LICENSE\n")));
  const std::string text = card("run/adapter");
  expect_parts(
      text, {"---\nlicense: other\nlicense_name: some-licence\nlibrary_name: peft\n", "# Adapter for base\n",
             "| licence of the base | some-licence |\n", "| method | LoRA |\n", "| r | 3 |\n",
             "| lora_alpha | 6 |\n", "## Training\n", "| steps | 2 |\n",
             "| samples a step | 2 x 1 a rank |\n", "| highest learning rate | 0.001 |\n",
             "| weights of the base | fp32 |\n", "| seed | 7 |\n", " nats a code |\n"});
  EXPECT_EQ(text.find("license_link"), std::string::npos) << "a link to a file that isn't here";
  EXPECT_EQ(text.find(scratch.path().string()), std::string::npos) << "paths of this machine";
}

TEST_F(Card, OfAnAdapterIsTheSameAfterAStop) {
  const Arguments command = train_on(golden("hf/model"));
  run(command + Arguments{"--save_steps", "1"});
  const std::string whole = card("run/adapter");
  fs::remove_all(scratch / "run/adapter");
  fs::remove_all(scratch / "run/checkpoints/step-000002");
  run(command + Arguments{"--save_steps", "1"});
  EXPECT_EQ(card("run/adapter"), whole);
}

TEST_F(Card, OfAMergedCheckpointSaysHowItsAdapterWasTrained) {
  run(train_on(base_with_card("license: apache-2.0\n")));
  run({"merge", "--base_ckpt", scratch / "base", "--adapter", scratch / "run/adapter", "--out",
       scratch / "merged"});
  const std::string text = card("merged"), adapter = card("run/adapter");
  expect_parts(text, {"license: apache-2.0\n", "| adapter | adapter |\n", "| r | 3 |\n"});
  const auto section = adapter.find("## Training\n");
  ASSERT_NE(section, std::string::npos);
  EXPECT_EQ(text.substr(text.find("## Training\n")), adapter.substr(section));
}

TEST_F(Card, OfAnAdapterFromElsewhereIsNotQuoted) {
  fs::copy(golden("e2e/adapter_hf"), scratch / "adapter", fs::copy_options::recursive);
  write("adapter/README.md", "# Mine\n\n## Uses\n| a | b |\n");
  run({"merge", "--base_ckpt", golden("hf/model"), "--adapter", scratch / "adapter", "--out",
       scratch / "merged"});
  EXPECT_EQ(card("merged").find("## Training"), std::string::npos);
  EXPECT_EQ(card("merged").find("| a | b |"), std::string::npos);
}

}  // namespace
}  // namespace higgs::test
