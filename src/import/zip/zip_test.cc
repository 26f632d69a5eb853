#include "import/zip/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/zip/zip_writer.h"

namespace quern {
namespace {

using ::testing::HasSubstr;

using File = std::vector<uint8_t>;

Result<std::vector<ZipEntry>> entries_of(const File& file) {
  const size_t tail = std::min<size_t>(file.size(), kZipTail);
  QUERN_ASSIGN(const ZipDirectory directory, read_zip_end(std::span(file).last(tail), file.size()));
  return read_zip_directory(std::span(file).subspan(static_cast<size_t>(directory.offset),
                                                    static_cast<size_t>(directory.size)),
                            directory);
}

Result<std::string> contents(const File& file, size_t index = 0) {
  QUERN_ASSIGN(const auto entries, entries_of(file));
  const ZipEntry& entry = entries.at(index);
  QUERN_ASSIGN(const uint64_t offset,
               zip_data_offset(entry, std::span(file).subspan(entry.header_offset), file.size()));
  QUERN_ASSIGN(const File bytes, unzip(entry, std::span(file).subspan(offset, entry.stored_size)));
  return std::string(bytes.begin(), bytes.end());
}

std::string error_of(const File& file) {
  const auto read = contents(file);
  return read ? "none" : read.error().message;
}

TEST(Zip, ReadsStoredAndDeflatedEntries) {
  const File file =
      ZipWriter().add("a/b", "hello").add("c", "deflated", {.deflate = true}).add("e", "").finish();
  EXPECT_EQ(contents(file, 0).value(), "hello");
  EXPECT_EQ(contents(file, 1).value(), "deflated");
  EXPECT_EQ(contents(file, 2).value(), "");
  EXPECT_EQ(entries_of(file).value()[0].name, "a/b");
}

TEST(Zip, AlignsNothingItself) {
  const File file = ZipWriter().add("weight", "1234").finish();
  const auto entries = entries_of(file).value();
  EXPECT_EQ(zip_data_offset(entries[0], file, file.size()).value() % 64, 0u);
}

TEST(Zip, ReadsZip64AndComments) {
  EXPECT_EQ(contents(ZipWriter().add("a", "x").finish(true)).value(), "x");
  EXPECT_EQ(contents(ZipWriter().add("a", "x").finish(false, "a comment")).value(), "x");
  EXPECT_EQ(contents(ZipWriter().add("a", "x", {.flags = 8}).finish()).value(), "x");
}

TEST(Zip, RefusesWhatIsCutOff) {
  const File file = ZipWriter().add("a", "some contents").finish();
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(contents(File(file.begin(), file.begin() + static_cast<ptrdiff_t>(size)))) << size;
  }
}

TEST(Zip, RefusesBombsAndDamage) {
  EXPECT_THAT(error_of(ZipWriter().add("a", "xyz", {.deflate = true, .claimed_size = 1}).finish()),
              HasSubstr("entry 'a'"));
  EXPECT_THAT(
      error_of(ZipWriter().add("a", "xyz", {.deflate = true, .claimed_size = 900}).finish()),
      HasSubstr("has 3 bytes, not 900"));
  EXPECT_THAT(error_of(ZipWriter().add("a", "xyz", {.crc_error = 1}).finish()), HasSubstr("CRC"));
  EXPECT_THAT(error_of(ZipWriter().add("a", "xyz", {.flags = 1}).finish()),
              HasSubstr("encrypted zip entry 'a'"));
}

TEST(Zip, RefusesNamesThatLeadOut) {
  for (const std::string_view name : {"../a", "a/../../b", "/a", "a\\b", "c:a"}) {
    EXPECT_THAT(error_of(ZipWriter().add(name, "x").finish()), HasSubstr("broken zip archive"))
        << name;
  }
  EXPECT_THAT(error_of(ZipWriter().add("a", "x").add("a", "y").finish()),
              HasSubstr("two entries 'a'"));
}

TEST(Zip, NoByteOfItCrashesAnything) {
  const File file = ZipWriter().add("a", "some").add("b", "more", {.deflate = true}).finish(true);
  for (size_t at = 0; at < file.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      File mutant = file;
      mutant[at] = static_cast<uint8_t>(mutant[at] ^ change);
      (void)contents(mutant, 0);
      if (const auto entries = entries_of(mutant); entries && entries->size() > 1) {
        (void)contents(mutant, 1);
      }
    }
  }
}

TEST(Zip, Crc) {
  const std::string_view text = "123456789";
  EXPECT_EQ(crc32({reinterpret_cast<const uint8_t*>(text.data()), text.size()}), 0xcbf43926u);
}

}  // namespace
}  // namespace quern
