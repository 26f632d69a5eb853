#include "import/saved_model/sstable.h"

#include <gtest/gtest.h>

#include "import/saved_model/saved_model_testing.h"

namespace quern {
namespace {

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Sstable, Checksum) {
  // The check value of CRC-32C is e3069283.
  EXPECT_EQ(masked_crc32c({bytes_of("123456789")}), 0xc78ab0e5U);
  EXPECT_EQ(masked_crc32c({bytes_of("1234"), bytes_of("56789")}), 0xc78ab0e5U);
}

TEST(Sstable, ReadsBlocksWhoseKeysShareTheirBeginnings) {
  std::map<std::string, std::string> entries;
  for (int i = 0; i < 40; ++i) {
    entries[cat("layer_", i / 7, "/", std::string(static_cast<size_t>(i), 'k'))] = cat(i);
  }
  for (const size_t per_block : {1, 5, 100}) {
    const std::string file = testing::table_file(entries, {.per_block = per_block});
    const auto read = read_table(bytes_of(file));
    ASSERT_TRUE(read) << read.error().message;
    std::map<std::string, std::string> found;
    for (const TableEntry& entry : *read) found[entry.key] = text_of(entry.value);
    EXPECT_EQ(found, entries);
  }
}

TEST(Sstable, DamageIsRefusedOrMeansNothing) {
  const auto read = [](std::string_view file) {
    const auto entries = read_table(bytes_of(file));
    if (!entries) return std::string("error");
    std::string out;
    for (const TableEntry& entry : *entries) out += cat(entry.key, "=", text_of(entry.value), " ");
    return out;
  };
  const std::string good = testing::table_file({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  EXPECT_EQ(read(good), "a=1 b=2 c=3 ");
  size_t refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_EQ(read(std::string_view(good).substr(0, at)), "error");
    std::string file = good;
    file[at] ^= 0x10;
    const std::string damaged = read(file);
    EXPECT_TRUE(damaged == "error" || damaged == read(good)) << at;
    refused += damaged == "error";
  }
  // What is left: a block of metadata that is not read, and the footer's padding.
  EXPECT_GT(refused, good.size() / 2);
}

}  // namespace
}  // namespace quern
