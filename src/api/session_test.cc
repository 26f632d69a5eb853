// Which graph a run gets where its inputs decide branches.
#include "api/session.h"

#include <gtest/gtest.h>

#include "ir/print.h"
#include "plan/gpu_backend.h"

namespace quern {
namespace {

/// Of the flag's branches one needs the contents of `list` once its dims are numbers.
constexpr std::string_view kGraph = R"(graph main(%flag: bool[], %x: f32[n], %list: i64[a, b]) {
  %y = If@16(%flag) {
    then_branch = graph () { %t = Neg@13(%x) return %t },
    else_branch = graph () {
      %flat_dims = constant i64[1] [-1]
      %dims = Reshape@14(%list, %flat_dims)
      %e = Reshape@14(%x, %dims)
      return %e
    }
  }
  return %y
})";

RunInput tensor(DType dtype, Dims dims) { return {.dtype = dtype, .dims = std::move(dims)}; }

class SessionVariants : public ::testing::Test {
 protected:
  void SetUp() override {
    auto graph = parse_graph(kGraph);
    ASSERT_TRUE(graph) << graph.error().message;
    Model model;
    model.graph = *std::move(graph);
    auto session = Session::create(std::move(model), backend_, {});
    ASSERT_TRUE(session) << session.error().message;
    session_ = *std::move(session);
    ASSERT_EQ(session_->host_inputs(), std::vector<uint32_t>{0});
  }

  /// Has a run with these inputs a graph without the branches?
  bool is_decided(bool flag, int64_t n) {
    auto host = HostTensor::zeros(DType::kBool, {});
    host->set_int(0, flag);
    RunInput given = tensor(DType::kBool, {});
    given.host = std::make_shared<HostTensor>(*std::move(host));
    auto walk = session_->start({given, tensor(DType::kF32, {n}), tensor(DType::kI64, {1, 1})});
    EXPECT_TRUE(walk) << walk.error().message;
    bool decided = true;
    if (walk) for_each_node((*walk)->graph(), [&](Node& node) { decided &= !node.is("If"); });
    return decided;
  }

  GpuBackend backend_{Target{}};
  std::unique_ptr<Session> session_;
};

TEST_F(SessionVariants, EightAreDecided) {
  for (int64_t n = 1; n <= 9; ++n) EXPECT_EQ(is_decided(true, n), n <= 8) << n;
  EXPECT_TRUE(is_decided(true, 1)) << "one that is there serves again";
}

TEST_F(SessionVariants, ThoseThatWantContentsNotGivenDoNotCount) {
  for (int64_t n = 1; n <= 9; ++n) EXPECT_FALSE(is_decided(false, n)) << n;
  EXPECT_FALSE(is_decided(false, 1));
  EXPECT_TRUE(is_decided(true, 1));
}

TEST_F(SessionVariants, LookingForThemEnds) {
  for (int64_t n = 1; n <= 64; ++n) EXPECT_FALSE(is_decided(false, n)) << n;
  EXPECT_FALSE(is_decided(true, 1));
}

}  // namespace
}  // namespace quern
