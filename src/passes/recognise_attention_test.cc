#include <gtest/gtest.h>

#include "passes/recognise.h"
#include "passes/recognise_testing.h"

namespace quern {
namespace {

/// A graph with result %y of q [2, 4, 3, 8], k [2, 4, 5, 8], v [2, 4, 5, 6], masks, constants.
std::string with_inputs(std::string_view body) {
  return cat(R"(graph main(%q: f32[2, 4, 3, 8], %k: f32[2, 4, 5, 8], %v: f32[2, 4, 5, 6],
      %add: f32[2, 1, 3, 5], %bias: f32[4, 3, 5], %seen: bool[2, 1, 3, 5], %rows: bool[3, 1]) {
    %zero = constant f32[] [0]
    %third = constant f32[] [0.33333334]
    %root = constant f32[1] [2.828427]
    %cap = constant f32[] [1.5]
    %least = constant f32[] [-3.4028235e+38]
    %little = constant f32[] [-10000]
    %nothing = constant f32[] [-inf]
    %full = constant i64[4] [2, 4, 3, 5] )",
             body, " return %y }");
}

constexpr std::string_view kScores =
    "%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %s = MatMul(%q, %kt) ";
constexpr std::string_view kValues = " %p = Softmax(%m) {axis = -1} %y = MatMul(%p, %v) as out";

std::string joined(std::initializer_list<std::string_view> parts) {
  return with_inputs(join(parts, " "));
}

/// Expects attention, with these operators and this node in the result.
void expect_attention(std::string_view text, std::string_view ops, std::string_view node) {
  SCOPED_TRACE(text);
  const Recognised found = expect_same_numbers(find_attention, text);
  EXPECT_EQ(found.ops(), ops);
  EXPECT_EQ(found.node("Attention"), node);
}

void expect_none(std::string_view text) {
  SCOPED_TRACE(text);
  EXPECT_EQ(recognised(find_attention, text).hits, 0);
}

TEST(RecogniseAttention, ScaleInAnyPlace) {
  for (const std::string_view scores : {
           "%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %s = MatMul(%q, %kt) %m = Mul(%s, %third)",
           "%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %s = MatMul(%q, %kt) %m = Mul(%third, %s)",
           "%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %qs = Mul(%q, %third) %m = MatMul(%qs, %kt)",
           "%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %ks = Mul(%kt, %third) %m = MatMul(%q, %ks)",
           "%ks = Mul(%k, %third) %kt = Transpose(%ks) {perm = [0, 1, 3, 2]} %m = MatMul(%q, %kt)",
       }) {
    expect_attention(joined({scores, kValues}), "quern.Attention",
                     "%y = quern.Attention@1(%q, %k, %v) {scale = 0.33333334} as out");
  }
  expect_attention(joined({kScores, "%p = Softmax(%s) %y = MatMul(%p, %v)"}), "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v) {scale = 1.0}");
  expect_attention(joined({kScores, "%m = Div(%s, %root)", kValues}), "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v) {scale = 0.35355338} as out");
  // Roots of it on both sides.
  expect_attention(joined({"%kt = Transpose(%k) {perm = [0, 1, 3, 2]} %ks = Mul(%kt, %third) "
                           "%qs = Div(%q, %root) %m = MatMul(%qs, %ks)",
                           kValues}),
                   "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v) {scale = 0.11785114} as out");
}

TEST(RecogniseAttention, LayoutsOfKeys) {
  // From [batch, keys, heads, size] at once; by a flat tensor, as PyTorch's exporter does it; and
  // transposed already.
  const auto graph = [](std::string_view type, std::string_view transposition) {
    return cat("graph main(%q: f32[2, 4, 3, 8], %k: f32", type, ", %v: f32[2, 4, 5, 6]) {",
               "%flat = constant i64[3] [-1, 5, 8] %four = constant i64[4] [2, 4, 8, 5] ",
               transposition, " %m = MatMul(%q, %kt)", kValues, " return %y }");
  };
  expect_attention(graph("[2, 5, 4, 8]", "%kt = Transpose(%k) {perm = [0, 2, 3, 1]}"),
                   "Transpose quern.Attention",
                   "%y = quern.Attention@1(%q, %made, %v) {scale = 1.0} as out");
  expect_attention(graph("[2, 4, 5, 8]",
                         "%a = Reshape(%k, %flat) %b = Transpose(%a) "
                         "{perm = [0, 2, 1]} %kt = Reshape(%b, %four)"),
                   "quern.Attention", "%y = quern.Attention@1(%q, %k, %v) {scale = 1.0} as out");
  expect_attention(graph("[2, 5, 4, 8]",
                         "%a = Transpose(%k) {perm = [0, 2, 1, 3]} "
                         "%kt = Transpose(%a) {perm = [0, 1, 3, 2]}"),
                   "Transpose quern.Attention",
                   "%y = quern.Attention@1(%q, %a, %v) {scale = 1.0} as out");
  expect_attention(graph("[2, 4, 8, 5]", "%kt = Neg(%k)"), "Neg Transpose quern.Attention",
                   "%y = quern.Attention@1(%q, %made, %v) {scale = 1.0} as out");
  // Reshapes that move elements from row to row are no transposition.
  const Recognised moved =
      recognised(find_attention,
                 cat("graph main(%q: f32[2, 4, 3, 8], %k: f32[2, 4, 5, 8], %v: f32[2, 4, 5, 6]) {",
                     "%flat = constant i64[3] [-1, 8, 5] %four = constant i64[4] [2, 4, 8, 5] ",
                     "%a = Reshape(%k, %flat) %b = Transpose(%a) {perm = [0, 2, 1]} ",
                     "%kt = Reshape(%b, %four) %m = MatMul(%q, %kt)", kValues, " return %y }"));
  EXPECT_EQ(moved.ops(), "Reshape Transpose Reshape Transpose quern.Attention");
}

TEST(RecogniseAttention, Masks) {
  const auto plain = [](std::string_view mask) {
    return cat("%y = quern.Attention@1(%q, %k, %v, %", mask, ") {scale = 1.0} as out");
  };
  // Added, in either order, of fewer axes.
  expect_attention(joined({kScores, "%m = Add(%s, %add)", kValues}), "quern.Attention",
                   plain("add"));
  expect_attention(joined({kScores, "%m = Add(%bias, %s)", kValues}), "quern.Attention",
                   plain("bias"));
  // What broadcasts anyway needs no Expand.
  expect_attention(joined({kScores, "%e = Expand(%add, %full) %m = Add(%s, %e)", kValues}),
                   "quern.Attention", plain("add"));
  // Minus infinity by a choice: the bool mask itself.
  expect_attention(joined({kScores, "%m = Where(%seen, %s, %nothing)", kValues}), "quern.Attention",
                   plain("seen"));
  expect_attention(
      joined({kScores, "%w = Where(%seen, %zero, %nothing) %m = Add(%s, %w)", kValues}),
      "quern.Attention", plain("seen"));
  expect_attention(joined({kScores, "%m = Where(%rows, %s, %nothing)", kValues}), "quern.Attention",
                   plain("rows"));
  expect_attention(
      joined({kScores, "%e = Expand(%seen, %full) %m = Where(%e, %nothing, %s)", kValues}),
      "Not quern.Attention", plain("made"));
  // A finite number: rows without keys are uniform, not NaN, so it is added.
  expect_attention(joined({kScores, "%m = Where(%seen, %s, %least)", kValues}),
                   "Where quern.Attention", plain("made"));
  expect_attention(joined({kScores, "%m = Where(%rows, %least, %s)", kValues}),
                   "Where quern.Attention", plain("made"));
}

TEST(RecogniseAttention, SeveralMasks) {
  const auto ops = [](std::string_view masks) {
    const std::string text = joined({kScores, masks, kValues});
    SCOPED_TRACE(text);
    return expect_same_numbers(find_attention, text).ops();
  };
  EXPECT_EQ(ops("%a = Add(%s, %bias) %m = Add(%a, %add)"), "Add quern.Attention");
  EXPECT_EQ(ops("%a = Where(%seen, %s, %nothing) %m = Where(%rows, %nothing, %a)"),
            "Not And quern.Attention");
  // As GPT-2 has it: a causal mask by choice, then one that is added.
  EXPECT_EQ(ops("%a = Where(%seen, %s, %least) %m = Add(%a, %add)"), "Where Add quern.Attention");
  EXPECT_EQ(ops("%a = Add(%s, %add) %m = Where(%seen, %a, %nothing)"), "Where Add quern.Attention");
}

TEST(RecogniseAttention, GuardAgainstRowsWithoutKeys) {
  const std::string text = joined({kScores,
                                   "%m = Where(%rows, %s, %nothing) %p = Softmax(%m) {axis = 3} "
                                   "%n = IsNaN(%p) %g = Where(%n, %zero, %p) %y = MatMul(%g, %v)"});
  expect_attention(text, "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v, %rows) {nan_to_zero = 1, scale = 1.0}");
}

TEST(RecogniseAttention, SoftCap) {
  expect_attention(joined({kScores,
                           "%a = Mul(%s, %third) %b = Div(%a, %cap) %t = Tanh(%b) "
                           "%c = Mul(%t, %cap) %m = Add(%c, %add)",
                           kValues}),
                   "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v, %add) {scale = 0.33333334, softcap = 1.5} "
                   "as out");
}

TEST(RecogniseAttention, GroupedQueries) {
  const auto graph = [](std::string_view heads, std::string_view more) {
    return cat("graph main(%q: f32[2, 6, 3, 8], %k: f32[2, ", heads, ", 5, 8], %v: f32[2, ", heads,
               ", 5, 7]) {", R"(
        %two = constant i64[1] [2]
        %groups = constant i64[5] [2, 2, 3, 5, 1]
        %times = constant i64[4] [1, 6, 1, 1]
        %heads = constant i64[4] [2, 6, 5, -1] )",
               more, R"(
        %kt = Transpose(%kr) {perm = [0, 1, 3, 2]}
        %m = MatMul(%q, %kt) )",
               kValues, " return %y }");
  };
  constexpr std::string_view kRepeatK =
      "%ku = Unsqueeze(%k, %two) %ke = Expand(%ku, %groups) %kr = Reshape(%ke, %heads)";
  constexpr std::string_view kRepeatV =
      " %vu = Unsqueeze(%v, %two) %ve = Expand(%vu, %groups) %vr = Reshape(%ve, %heads)";
  const auto with = [](std::string text) {
    text.replace(text.find("(%p, %v)"), 8, "(%p, %vr)");
    return text;
  };
  expect_attention(with(graph("2", cat(kRepeatK, kRepeatV))), "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v) {scale = 1.0} as out");
  expect_attention(with(graph("1", "%kr = Expand(%k, %times) %vr = Expand(%v, %times)")),
                   "quern.Attention", "%y = quern.Attention@1(%q, %k, %v) {scale = 1.0} as out");
  // MatMul itself broadcasts one head.
  expect_attention(with(graph("1", "%kr = Abs(%k) %vr = Abs(%v)")), "Abs Abs quern.Attention",
                   "%y = quern.Attention@1(%q, %kr, %vr) {scale = 1.0} as out");
  // Only k was repeated: v has other heads already.
  const Recognised half =
      recognised(find_attention, R"(graph main(%q: f32[2, 6, 3, 8], %k: f32[2, 2, 5, 8],
                                               %v: f32[2, 6, 5, 7]) {
    %two = constant i64[1] [2]
    %groups = constant i64[5] [2, 2, 3, 5, 8]
    %heads = constant i64[4] [2, 6, 5, 8]
    %ku = Unsqueeze(%k, %two)
    %ke = Expand(%ku, %groups)
    %kr = Reshape(%ke, %heads)
    %kt = Transpose(%kr) {perm = [0, 1, 3, 2]}
    %s = MatMul(%q, %kt)
    %p = Softmax(%s)
    %y = MatMul(%p, %v)
    return %y
  })");
  EXPECT_EQ(half.ops(), "Unsqueeze Expand Reshape quern.Attention");
}

TEST(RecogniseAttention, SymbolicLengths) {
  // Lengths of keys, values and mask that come by different inputs, as with cached keys.
  const Recognised found =
      recognised(find_attention, R"(graph main(%q: f32[b, 4, s, 8], %k: f32[b, 4, s + past, 8],
                                               %v: f32[b, 4, s + past_v, 8],
                                               %mask: f32[b, 1, s, total]) {
    %kt = Transpose(%k) {perm = [0, 1, 3, 2]}
    %s = MatMul(%q, %kt)
    %m = Add(%s, %mask)
    %p = Softmax(%m)
    %y = MatMul(%p, %v)
    return %y
  })");
  EXPECT_EQ(found.ops(), "quern.Attention");
  // One key for all: MatMul and Add would broadcast it. Batches that need not be alike, too.
  const auto graph = [](std::string_view k, std::string_view mask) {
    return cat("graph main(%q: f32[b, 4, s, 8], %k: f32", k, ", %v: f32[b, 4, n, 8], %mask: f32",
               mask, ") { %kt = Transpose(%k) {perm = [0, 1, 3, 2]} %s = MatMul(%q, %kt) ",
               "%m = Add(%s, %mask)", kValues, " return %y }");
  };
  expect_none(graph("[b, 4, 1, 8]", "[b, 1, s, n]"));
  expect_none(graph("[other, 4, n, 8]", "[b, 1, s, n]"));
  EXPECT_EQ(recognised(find_attention, graph("[b, 4, n, 8]", "[b, 1, s, n]")).hits, 1);
}

TEST(RecogniseAttention, ThreeAxes) {
  const auto graph = [](std::string_view mask, std::string_view scores) {
    return cat("graph main(%q: f32[6, 3, 8], %k: f32[6, 5, 8], %v: f32[6, 5, 4], %mask: f32", mask,
               ") { %kt = Transpose(%k) {perm = [0, 2, 1]} %s = MatMul(%q, %kt) ", scores, kValues,
               " return %y }");
  };
  const auto ops = [](const std::string& text) {
    SCOPED_TRACE(text);
    const Recognised found = expect_same_numbers(find_attention, text);
    EXPECT_EQ(found.graph->outputs[0]->producer->name, "out");
    return found.ops();
  };
  EXPECT_EQ(ops(graph("[6, 3, 5]", "%m = Add(%s, %mask)")),
            "Unsqueeze Unsqueeze Unsqueeze Unsqueeze quern.Attention Squeeze");
  EXPECT_EQ(ops(graph("[3, 5]", "%m = Add(%s, %mask)")),
            "Unsqueeze Unsqueeze Unsqueeze quern.Attention Squeeze");
}

TEST(RecogniseAttention, HeadsJoinedWithTheBatch) {
  // As BART, Whisper and CLIP were exported: scores go to four axes for the mask.
  const auto graph = [](std::string_view k, std::string_view scores, std::string_view tail) {
    return cat(R"(graph main(%q: f32[2, 4, 3, 8], %k: f32[2, 4, 5, 8], %v: f32[2, 4, 5, 6],
                         %mask: f32[2, 1, 3, 5], %each: f32[8, 3, 5]) {
    %q_flat = constant i64[3] [8, -1, 8]
    %k_flat = constant i64[3] [8, 5, 8]
    %t_flat = constant i64[3] [8, 8, 5]
    %v_flat = constant i64[3] [8, 5, -1]
    %s_flat = constant i64[3] [8, 3, 5]
    %s_four = constant i64[4] [2, 4, 3, 5]
    %y_four = constant i64[4] [2, 4, 3, 6]
    %half = constant f32[] [0.5]
    %qs = Mul(%q, %half)
    %q3 = Reshape(%qs, %q_flat)
    %v3 = Reshape(%v, %v_flat) )",
               k, " %s = MatMul(%q3, %kt) ", scores, R"(
    %p = Softmax(%m)
    %o = MatMul(%p, %v3) )",
               tail, " return %y }");
  };
  constexpr std::string_view kKeys =
      "%k3 = Reshape(%k, %k_flat) %kt = Transpose(%k3) {perm = [0, 2, 1]}";
  constexpr std::string_view kMasked =
      "%a = Reshape(%s, %s_four) %b = Add(%a, %mask) %m = Reshape(%b, %s_flat)";
  constexpr std::string_view kSplit = "%y = Reshape(%o, %y_four) as out";
  const std::string node = "%y = quern.Attention@1(%q, %k, %v, %mask) {scale = 0.5} as out";
  expect_attention(graph(kKeys, kMasked, kSplit), "quern.Attention", node);
  expect_attention(graph("%k4 = Transpose(%k) {perm = [0, 1, 3, 2]} %kt = Reshape(%k4, %t_flat)",
                         kMasked, kSplit),
                   "quern.Attention", node);
  // Without a mask the heads are found as well, where the result is split.
  expect_attention(graph(kKeys, "%m = Mul(%s, %half)", kSplit), "quern.Attention",
                   "%y = quern.Attention@1(%q, %k, %v) {scale = 0.25} as out");
  const Recognised flat =
      expect_same_numbers(find_attention, graph(kKeys, "%m = Mul(%s, %half)", "%y = Neg(%o)"));
  EXPECT_EQ(flat.ops(),
            "Mul Reshape Reshape Reshape Unsqueeze Unsqueeze Unsqueeze "
            "quern.Attention Squeeze Neg");
  // A mask with four axes and a result that stays flat; masks on both levels; another split.
  expect_none(graph(kKeys, kMasked, "%y = Neg(%o)"));
  expect_none(graph(kKeys,
                    "%a = Reshape(%s, %s_four) %b = Add(%a, %mask) "
                    "%c = Reshape(%b, %s_flat) %m = Add(%c, %each)",
                    kSplit));
  std::string other = graph(kKeys, kMasked, kSplit);
  other.replace(other.find("[2, 4, 3, 6]\n"), 12, "[4, 2, 3, 6]");
  expect_none(other);
}

TEST(RecogniseAttention, HalfPrecisionWithSoftmaxInF32) {
  const Recognised found =
      recognised(find_attention, R"(graph main(%q: f16[b, 4, s, 8], %k: f16[b, 4, s, 8],
                                               %v: f16[b, 4, s, 8], %mask: f16[b, 1, s, s]) {
    %kt = Transpose(%k) {perm = [0, 1, 3, 2]}
    %s = MatMul(%q, %kt)
    %m = Add(%s, %mask)
    %wide = Cast(%m) {to = 1}
    %p = Softmax(%wide)
    %narrow = Cast(%p) {to = 10}
    %y = MatMul(%narrow, %v)
    return %y
  })");
  EXPECT_EQ(found.node("Attention"), "%y = quern.Attention@1(%q, %k, %v, %mask) {scale = 1.0}");
  EXPECT_EQ(found.ops(), "quern.Attention");
}

TEST(RecogniseAttention, InABody) {
  const Recognised found = recognised(
      [](Graph& graph) { return find_attention(*graph.nodes()[0]->subgraph("then_branch")); },
      R"(graph main(%c: bool[], %q: f32[2, 4, 3, 8], %k: f32[2, 4, 3, 8]) {
    %y = If(%c) {then_branch = graph () {
      %kt = Transpose(%k) {perm = [0, 1, 3, 2]}
      %s = MatMul(%q, %kt)
      %p = Softmax(%s)
      %o = MatMul(%p, %k)
      return %o
    }, else_branch = graph () { return %q }}
    return %y
  })");
  EXPECT_EQ(found.hits, 1);
}

TEST(RecogniseAttention, OthersStay) {
  // Softmax over another axis; another use of scores or probabilities; v on the left.
  expect_none(joined({kScores, "%p = Softmax(%s) {axis = 2} %y = MatMul(%p, %v)"}));
  expect_none(joined({kScores, "%p = Softmax@11(%s) %y = MatMul(%p, %v)"}));
  expect_none(joined({kScores,
                      "%p = Softmax(%s) %o = MatMul(%p, %v) %t = ReduceMax@13(%p) "
                      "%y = Mul(%o, %t)"}));
  expect_none(joined({kScores,
                      "%p = Softmax(%s) %o = MatMul(%p, %v) %t = ReduceMax@13(%s) "
                      "%y = Mul(%o, %t)"}));
  expect_none(
      "graph main(%q: f32[1, 1, 4, 8], %k: f32[1, 1, 8, 4]) { %s = MatMul(%q, %k) "
      "%p = Softmax(%s) %y = MatMul(%p, %p) return %y }");
  // Scores that are scaled after the mask; a number that does not hide; a guard with another one.
  expect_none(joined({kScores, "%a = Add(%s, %add) %m = Mul(%a, %third)", kValues}));
  expect_none(joined({kScores, "%m = Where(%seen, %s, %little)", kValues}));
  expect_none(joined({kScores,
                      "%p = Softmax(%s) %n = IsNaN(%p) %g = Where(%n, %third, %p) "
                      "%y = MatMul(%g, %v)"}));
  // A choice that makes rows without keys uniform, above another mask.
  expect_none(joined({kScores, "%a = Add(%s, %add) %m = Where(%seen, %a, %least)", kValues}));
  // A mask that makes the scores larger, no product of q and k.
  expect_none(
      "graph main(%q: f32[1, 4, 3, 8], %k: f32[1, 4, 5, 8], %v: f32[1, 4, 5, 8], "
      "%mask: f32[2, 1, 3, 5]) { %kt = Transpose(%k) {perm = [0, 1, 3, 2]} "
      "%s = MatMul(%q, %kt) %m = Add(%s, %mask) %p = Softmax(%m) %y = MatMul(%p, %v) "
      "return %y }");
  expect_none(with_inputs("%p = Softmax(%add) %y = MatMul(%p, %v)"));
  // f64, of which there are no kernels; a head that is too large, or of unknown size.
  const auto sized = [](std::string_view type, std::string_view size) {
    return cat("graph main(%q: ", type, "[1, 1, 2, ", size, "], %k: ", type, "[1, 1, 2, ", size,
               "]) { %kt = Transpose(%k) {perm = [0, 1, 3, 2]} %s = MatMul(%q, %kt) "
               "%p = Softmax(%s) %y = MatMul(%p, %k) return %y }");
  };
  EXPECT_EQ(recognised(find_attention, sized("f32", "512")).hits, 1);
  expect_none(sized("f64", "8"));
  expect_none(sized("f32", "513"));
  expect_none(sized("f32", "d"));
}

}  // namespace
}  // namespace quern
