// Pickles as CPython writes them for a dictionary of a parameter and a view, and archives with
// them.
#include "import/torch/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "import/convert/importer.h"
#include "import/convert/run_testing.h"
#include "import/torch/program_testing.h"
#include "import/zip/zip_writer.h"

namespace quern::torch {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using quern::testing::Arg;
using quern::testing::Program;
using ::testing::HasSubstr;

/// OrderedDict(w=Parameter of f32[2, 3] in storage 0, b=f32[3] of the last elements of storage 1,
/// which has 70,000), with _metadata.
constexpr std::string_view kProtocol2 =
    "\200\002ccollections\012OrderedDict\012q\000)Rq\001(X\001\000\000\000wq\002ctorc"
    "h._utils\012_rebuild_parameter\012q\003ctorch._utils\012_rebuild_tensor_v2\012q"
    "\004((X\007\000\000\000storageq\005ctorch\012FloatStorage\012q\006X\001\000\000"
    "\0000q\007X\003\000\000\000cpuq\010K\006tq\011QK\000K\002K\003\206q\012K\003K"
    "\001\206q\013\211h\000)Rq\014tq\015Rq\016\210h\000)Rq\017\207q\020Rq\021X\001"
    "\000\000\000bq\022h\004((h\005h\006X\001\000\000\0001q\023h\010Jp\021\001\000tq"
    "\024QJm\021\001\000K\003\205q\025K\001\205q\026\211h\000)Rq\027tq\030Rq\031u}q"
    "\032X\011\000\000\000_metadataq\033h\000)Rq\034X\000\000\000\000q\035}q\036X\007"
    "\000\000\000versionq\037K\001sssb."sv;
/// The same in protocol 4.
constexpr std::string_view kProtocol4 =
    "\200\004\225\026\001\000\000\000\000\000\000\214\013collections\224\214\013Order"
    "edDict\224\223\224)R\224(\214\001w\224\214\014torch._utils\224\214\022_rebuild_p"
    "arameter\224\223\224h\005\214\022_rebuild_tensor_v2\224\223\224((\214\007storage"
    "\224\214\005torch\224\214\014FloatStorage\224\223\224\214\0010\224\214\003cpu"
    "\224K\006t\224QK\000K\002K\003\206\224K\003K\001\206\224\211h\002)R\224t\224R"
    "\224\210h\002)R\224\207\224R\224\214\001b\224h\011((h\012h\015\214\0011\224h\017"
    "Jp\021\001\000t\224QJm\021\001\000K\003\205\224K\001\205\224\211h\002)R\224t\224"
    "R\224u}\224\214\011_metadata\224h\002)R\224\214\000\224}\224\214\007version\224K"
    "\001sssb."sv;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string error_of(std::string_view pickle) {
  const auto read = read_tensor_pickle(bytes_of(pickle));
  return read ? "none" : read.error().message;
}

TEST(Pickle, OfADictionaryOfTensors) {
  for (const std::string_view pickle : {kProtocol2, kProtocol4}) {
    const auto read = read_tensor_pickle(bytes_of(pickle));
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 2U);
    const StoredTensor& w = read->at("w");
    EXPECT_EQ(w.payload, "0");
    EXPECT_EQ(w.meta.dtype, DType::kF32);
    EXPECT_EQ(w.meta.sizes, (Shape{2, 3}));
    EXPECT_EQ(w.meta.strides[0], 3);
    const StoredTensor& b = read->at("b");
    EXPECT_EQ(b.payload, "1");
    EXPECT_EQ(b.meta.storage_offset, 69997);
  }
}

TEST(Pickle, ExecutesNothing) {
  EXPECT_THAT(error_of("\200\002cos\nsystem\n(X\002\000\000\000lstR."sv),
              HasSubstr("a pickle that calls os system: it is never executed"));
  EXPECT_THAT(error_of("\200\002cbuiltins\neval\n)\201."sv), HasSubstr("opcode 129"));
  EXPECT_THAT(error_of("\200\002]."sv), HasSubstr("holds no dictionary"));
  EXPECT_THAT(error_of("\200\002}X\001\000\000\000aK\001s."sv),
              HasSubstr("'a' of a pickle is no tensor"));
}

TEST(Pickle, OfAnyBytesIsAnError) {
  for (const std::string_view pickle : {kProtocol2, kProtocol4}) {
    for (size_t at = 0; at < pickle.size(); ++at) {
      EXPECT_NE(error_of(pickle.substr(0, at)), "none") << at;
      for (const int bit : {0x01, 0x80}) {
        std::string changed(pickle);
        changed[at] = static_cast<char>(changed[at] ^ bit);
        (void)error_of(changed);
      }
    }
  }
}

TEST(Pickle, MultipliesNothing) {
  // A tuple of 20,000 objects that 20,000 tensors are made of; a name of 1 MB in as many globals.
  std::string tensors = "\200\002("s;
  tensors.append(20'000, 'N');
  tensors += "tq\001";
  std::string globals = "\200\002X\000\000\020\000"s;
  globals.append(1 << 20, 'a');
  globals += "q\001";
  for (int i = 0; i < 20'000; ++i) {
    tensors += "ctorch._utils\n_rebuild_tensor_v2\nh\001R";
    globals += "h\001h\001\223";
  }
  EXPECT_EQ(error_of(tensors + "."), "a pickle that holds no dictionary of tensors");
  EXPECT_EQ(error_of(globals + "."), "a pickle of tensors is damaged");
}

/// x * w + b.
Program program() {
  const std::vector<float> any(6);
  return Program()
      .input("x", {"f32[2, 3]"})
      .weight("w", {"f32[2, 3]"}, any)
      .weight("b", {"f32[3]"}, any)
      .node("mul.Tensor", {Arg::tensor("self", "x"), Arg::tensor("other", "w")}, "m", {"f32[2, 3]"})
      .node("add.Tensor", {Arg::tensor("self", "m"), Arg::tensor("other", "b")}, "y", {"f32[2, 3]"})
      .output("y");
}

/// A file of torch.save, with the storages that the pickles name.
std::string saved(std::string_view pickle) {
  std::vector<float> w = {1, 2, 3, 4, 5, 6}, b(70000);
  std::copy_n(std::vector<float>{10, 20, 30}.begin(), 3, b.end() - 3);
  const auto text = [](const std::vector<float>& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * 4);
  };
  const std::vector<uint8_t> zip = ZipWriter()
                                       .add("archive/data.pkl", pickle)
                                       .add("archive/data/0", text(w))
                                       .add("archive/data/1", text(b))
                                       .add("archive/version", "3")
                                       .finish();
  return {zip.begin(), zip.end()};
}

TEST(TorchArchive, OfPyTorchBefore28) {
  const std::vector<uint8_t> file = ZipWriter()
                                        .add("version", "8.8")
                                        .add("serialized_exported_program.json", program().json())
                                        .add("serialized_state_dict.pt", saved(kProtocol2))
                                        .finish();
  EXPECT_EQ(quern::testing::run_file(file, {{1, 1, 1, 1, 1, 1}}), "f32[2, 3] 11 22 33 14 25 36");
  // A large storage stays where it lies, in a zip in the zip.
  const auto model = import_bytes(file);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->weights.size(), 1U);
  float last = 0;
  const WeightInfo& weight = model->weights[0];
  ASSERT_LE(weight.file_offset + weight.byte_length, file.size());
  std::memcpy(&last, file.data() + weight.file_offset + weight.byte_length - 4, 4);
  EXPECT_EQ(last, 30);
}

TEST(TorchArchive, OfPyTorch28) {
  const std::vector<uint8_t> file = ZipWriter()
                                        .add("m/models/model.json", program().json())
                                        .add("m/data/weights/model.pt", saved(kProtocol4))
                                        .finish();
  EXPECT_EQ(quern::testing::run_file(file, {{1, 1, 1, 1, 1, 1}}), "f32[2, 3] 11 22 33 14 25 36");
}

TEST(TorchArchive, RefusesWhatPicklesHoldElse) {
  const auto error = [](std::string_view state) {
    const auto model = import_bytes(ZipWriter()
                                        .add("serialized_exported_program.json", program().json())
                                        .add("serialized_state_dict.pt", state)
                                        .finish());
    return model ? std::string("none") : model.error().message;
  };
  EXPECT_EQ(error(saved(kProtocol2)), "none");
  EXPECT_THAT(error(saved("\200\002cos\nsystem\n)R."sv)),
              HasSubstr("serialized_state_dict.pt: a pickle that calls os system"));
  EXPECT_THAT(error("no zip"), HasSubstr("zip"));
  const std::vector<uint8_t> other = ZipWriter().add("a", "b").finish();
  EXPECT_THAT(error({reinterpret_cast<const char*>(other.data()), other.size()}),
              HasSubstr("'serialized_state_dict.pt' is no file of torch.save"));
  EXPECT_THAT(error(""), HasSubstr("the archive has no contents for it"));
}

}  // namespace
}  // namespace quern::torch
