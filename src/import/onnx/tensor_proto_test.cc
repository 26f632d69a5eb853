#include "import/onnx/tensor_proto.h"

#include <gtest/gtest.h>

#include "import/onnx/testing.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT

Result<HostTensor> parse(const Pb& message) { return parse_tensor_proto(message.span()); }

std::string error_of(const Pb& message) {
  const auto result = parse(message);
  return result ? "" : result.error().message;
}

std::vector<double> values_of(const HostTensor& tensor) {
  std::vector<double> out;
  for (int64_t i = 0; i < tensor.count(); ++i) out.push_back(tensor.float_at(i));
  return out;
}
using Values = std::vector<double>;

TEST(TensorProtoTest, FloatForms) {
  std::string name;
  const Pb raw = f32_tensor("w", {3}, {1, 2.5, -3});
  const auto tensor_raw = parse_tensor_proto(raw.span(), &name);
  ASSERT_TRUE(tensor_raw);
  EXPECT_EQ(name, "w");
  EXPECT_EQ(values_of(*tensor_raw), (Values{1, 2.5, -3}));
  const Pb typed = tensor("w", 1, {3}).packed_fixed<float>(4, {1, 2.5, -3});
  EXPECT_EQ(parse(typed)->bytes, tensor_raw->bytes);
  const Pb unpacked =
      tensor("w", 1, {3}).fixed32(4, 1).fixed32(4, 2.5).packed_fixed<float>(4, {-3});
  EXPECT_EQ(parse(unpacked)->bytes, tensor_raw->bytes);
  const Pb packed_dims = Pb().packed(1, {3}).varint(2, 1).packed_fixed<float>(4, {1, 2.5, -3});
  EXPECT_EQ(parse(packed_dims)->dims, Dims{3});
  const Pb doubles = tensor("", 11, {2}).packed_fixed<double>(10, {0.1}).fixed64(10, 0.2);
  EXPECT_EQ(values_of(*parse(doubles)), (Values{0.1, 0.2}));
  const Pb complex = tensor("", 14, {1}).packed_fixed<float>(4, {1, 2});
  EXPECT_EQ(parse(complex)->bytes.size(), 8u);
  const Pb complex128 = tensor("", 15, {1}).packed_fixed<double>(10, {1, 2});
  EXPECT_EQ(parse(complex128)->bytes.size(), 16u);
}

TEST(TensorProtoTest, IntegersInInt32Data) {
  for (const int dtype : {2, 3, 4, 5, 6}) {
    const Pb packed = tensor("", dtype, {3}).packed(5, {1, 2, 100});
    ASSERT_TRUE(parse(packed)) << error_of(packed);
    EXPECT_EQ(values_of(*parse(packed)), (Values{1, 2, 100})) << dtype;
  }
  EXPECT_EQ(values_of(*parse(tensor("", 3, {2}).packed(5, {-1, -128}))), (Values{-1, -128}));
  EXPECT_EQ(values_of(*parse(tensor("", 6, {2}).varint(5, -7).varint(5, 8))), (Values{-7, 8}));
  EXPECT_EQ(values_of(*parse(tensor("", 7, {2}).packed(7, {-1, INT64_C(1) << 40}))),
            (Values{-1, 0x1p40}));
  EXPECT_EQ(values_of(*parse(tensor("", 12, {1}).packed(11, {4294967295}))), (Values{4294967295}));
  EXPECT_EQ(parse(tensor("", 13, {1}).packed(11, {-1}))->bytes, std::vector<uint8_t>(8, 255));
}

TEST(TensorProtoTest, SmallTypes) {
  EXPECT_EQ(values_of(*parse(tensor("", 10, {2}).packed(5, {0x3c00, 0xc000}))), (Values{1, -2}));
  EXPECT_EQ(values_of(*parse(tensor("", 16, {1}).packed(5, {0x3f80}))), (Values{1}));
  for (const int dtype : {17, 18, 19, 20, 24}) {
    EXPECT_EQ(parse(tensor("", dtype, {2}).packed(5, {0x38, 0xb8}))->bytes,
              (std::vector<uint8_t>{0x38, 0xb8}));
  }
  EXPECT_EQ(parse(tensor("", 9, {3}).packed(5, {1, 0, 7}))->bytes, (std::vector<uint8_t>{1, 0, 1}));
  EXPECT_EQ(parse(tensor("", 9, {2}).bytes(9, "\x02\x01"))->bytes, (std::vector<uint8_t>{1, 1}));
  // Two and four elements an entry; three and five elements.
  EXPECT_EQ(values_of(*parse(tensor("", 22, {3}).packed(5, {0xf1, 0x08}))), (Values{1, -1, -8}));
  EXPECT_EQ(values_of(*parse(tensor("", 21, {3}).bytes(9, "\xf1\x08"))), (Values{1, 15, 8}));
  EXPECT_EQ(values_of(*parse(tensor("", 25, {5}).packed(5, {0xe4, 0x02}))),
            (Values{0, 1, 2, 3, 2}));
  EXPECT_EQ(values_of(*parse(tensor("", 26, {5}).bytes(9, "\xe4\x02"))),
            (Values{0, 1, -2, -1, -2}));
  EXPECT_EQ(values_of(*parse(tensor("", 23, {2}).packed(5, {0xa2}))), (Values{1, -1}));
}

TEST(TensorProtoTest, StringsScalarsAndEmptyTensors) {
  const auto strings = parse(tensor("", 8, {2}).bytes(6, "a").bytes(6, ""));
  ASSERT_TRUE(strings);
  EXPECT_EQ(strings->strings, (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(parse(tensor("", 7, {}).packed(7, {5}))->int_at(0), 5);
  EXPECT_TRUE(parse(tensor("", 1, {0})));
  EXPECT_TRUE(parse(tensor("", 1, {0}).bytes(9, "")));
  EXPECT_TRUE(parse(tensor("", 8, {2, 0})));
  // An empty raw_data beside typed data.
  EXPECT_EQ(parse(tensor("", 7, {1}).bytes(9, "").packed(7, {5}))->int_at(0), 5);
}

TEST(TensorProtoTest, WrongData) {
  EXPECT_EQ(error_of(f32_tensor("w", {4}, {1, 2, 3})),
            "tensor 'w' (f32[4]) needs 16 bytes, its raw data has 12");
  EXPECT_EQ(error_of(tensor("w", 1, {2}).packed(5, {1, 2})),
            "tensor 'w' (f32[2]) needs 8 bytes, its typed data has 0");
  EXPECT_EQ(error_of(tensor("w", 8, {2}).bytes(6, "a")),
            "tensor 'w' (string[2]) needs 2 strings, its typed data has 1");
  EXPECT_EQ(error_of(tensor("w", 8, {1}).bytes(9, "a")),
            "tensor 'w' (string[1]) needs 1 strings, its typed data has 0");
  EXPECT_NE(error_of(tensor("w", 7, {1}).bytes(7, "\xff")), "");
  EXPECT_NE(error_of(tensor("w", 1, {1}).bytes(4, "abc")), "");
  EXPECT_NE(error_of(tensor("w", 0, {1})), "");
  EXPECT_EQ(parse(tensor("w", 27, {1})).error().code, ErrorCode::kUnsupported);
  EXPECT_NE(error_of(tensor("w", -1, {1})), "");
  EXPECT_NE(error_of(tensor("w", 1, {-1})), "");
  EXPECT_NE(error_of(tensor("w", 1, {INT64_MAX, INT64_MAX})), "");
  // No memory is taken for what is not there.
  EXPECT_NE(error_of(tensor("w", 1, {int64_t{1} << 50})), "");
  EXPECT_NE(error_of(tensor("w", 8, {int64_t{1} << 50})), "");
  EXPECT_NE(error_of(tensor("w", 1, std::vector<int64_t>(33, 1))), "");
  EXPECT_NE(error_of(tensor("w", 1, {1}).varint(14, 1)), "");
  EXPECT_NE(error_of(tensor("w", 1, {1}).varint((1u << 29) - 1, 0)), "");
  EXPECT_NE(error_of(tensor("w", 1, {1}).message(3, Pb())), "");
  EXPECT_NE(error_of(Pb().append("\x0a")), "");
}

TEST(TensorProtoTest, Sparse) {
  const auto parse_sparse = [](const Pb& values, const Pb& indices, std::vector<int64_t> dims) {
    return parse_sparse_tensor_proto(
        Pb().message(1, values).message(2, indices).varints(3, dims).span(), 1000);
  };
  const Pb values = f32_tensor("s", {2}, {5, 6});
  const auto linear = parse_sparse(values, tensor("", 7, {2}).packed(7, {1, 3}), {2, 2});
  ASSERT_TRUE(linear) << linear.error().message;
  EXPECT_EQ(values_of(*linear), (Values{0, 5, 0, 6}));
  const auto pairs = parse_sparse(values, tensor("", 7, {2, 2}).packed(7, {0, 1, 1, 1}), {2, 2});
  ASSERT_TRUE(pairs) << pairs.error().message;
  EXPECT_EQ(values_of(*pairs), (Values{0, 5, 0, 6}));
  const auto one_dim = parse_sparse(values, tensor("", 7, {2, 1}).packed(7, {0, 1}), {3});
  ASSERT_TRUE(one_dim);
  EXPECT_FALSE(parse_sparse(values, tensor("", 7, {2}).packed(7, {1, 4}), {2, 2}));
  EXPECT_FALSE(parse_sparse(values, tensor("", 7, {2}).packed(7, {-1, 0}), {2, 2}));
  EXPECT_FALSE(parse_sparse(values, tensor("", 7, {2, 2}).packed(7, {0, 2, 1, 1}), {2, 2}));
  EXPECT_FALSE(parse_sparse(values, tensor("", 7, {3}).packed(7, {0, 1, 2}), {2, 2}));
  EXPECT_FALSE(parse_sparse(values, tensor("", 7, {2}).packed(7, {0, 1}), {}));
  const auto large = parse_sparse(values, tensor("", 7, {2}).packed(7, {0, 1}), {1000});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kLimit);
  EXPECT_FALSE(
      parse_sparse(tensor("", 8, {1}).bytes(6, "a"), tensor("", 7, {1}).packed(7, {0}), {1}));
}

TEST(TensorProtoTest, SequencesAndOptionals) {
  const Pb one = f32_tensor("", {1}, {1});
  const Pb sequence = Pb().bytes(1, "s").varint(2, 1).message(3, one).message(3, one);
  std::string name;
  const auto parsed = parse_value_proto(sequence.span(), Type::Kind::kSequence, &name);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(name, "s");
  EXPECT_EQ(parsed->elements.size(), 2u);
  const Pb optional = Pb().bytes(1, "o").varint(2, 3).message(5, sequence);
  const auto some = parse_value_proto(optional.span(), Type::Kind::kOptional);
  ASSERT_TRUE(some);
  ASSERT_EQ(some->elements.size(), 1u);
  EXPECT_EQ(some->elements[0].kind, Type::Kind::kSequence);
  EXPECT_EQ(some->elements[0].elements[1].tensor.float_at(0), 1);
  const auto none = parse_value_proto(Pb().bytes(1, "o").span(), Type::Kind::kOptional);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->elements.empty());
  EXPECT_TRUE(parse_value_proto(one.span(), Type::Kind::kTensor));
  EXPECT_FALSE(parse_value_proto(Pb().message(6, Pb()).span(), Type::Kind::kSequence));
  Pb deep = sequence;
  for (int i = 0; i < 20; ++i) deep = Pb().message(5, deep);
  EXPECT_FALSE(parse_value_proto(deep.span(), Type::Kind::kSequence));
}

}  // namespace
}  // namespace quern
