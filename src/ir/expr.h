// Scalar expressions: what one output element is, as a function of its indices.
//
// An operator described this way runs on every device: src/shader/expr_wgsl.cc writes it as a
// WGSL kernel, src/cpu/expr_blocked.cc runs it in SIMD blocks, src/ir/expr_eval.cc element by
// element (constant folding, shape arithmetic, and the oracle in tests). Operators compose:
// an operator's loads may be another operator's expression, which is fusion.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/tensor.h"

namespace quern {

/// The types that expressions compute in. Narrower element types widen on load and are wrapped
/// (integers) or rounded to nearest even (floats) on store. A device without one of them emulates
/// it: i64 and u64 as pairs of words, f64 in f32 (reported).
enum class Scalar : uint8_t { kF32, kF64, kI32, kU32, kI64, kU64, kBool };

/// The scalar type that elements of `type` are computed in (f32 for f16, bf16, f8, f4; i32 and
/// u32 for narrower integers). The type must not be a string or complex.
Scalar compute_type(DType type);
/// The element type that holds a scalar type exactly.
DType storage_type(Scalar type);

enum class ExprOp : uint8_t {
  // Leaves.
  kConst,  ///< `bits`: the value, as int64, or the bit pattern of a double for floats
  kParam,  ///< parameter `slot`: a number that differs from binding to binding
  kIndex,  ///< index of the output element along axis `slot`; i32
  kLoop,   ///< the variable of the reduction that has id `slot`; i32
  // Loads: input `slot` at args (one i32 index an axis), or at a flat element index (one arg).
  kLoad,
  kLoadFlat,
  // One argument. Float functions give NaN where undefined.
  kNeg,
  kAbs,
  kSign,
  kFloor,
  kCeil,
  kRound /* half to even */,
  kTrunc,
  kSqrt,
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTanh,
  kAsinh,
  kAcosh,
  kAtanh,
  kErf,
  kNot /* bool */,
  kBitNot,
  kIsNan,
  kIsInf /* either sign */,
  kCast,     ///< to `type`; float to integer truncates and saturates, NaN gives 0
  kNarrow,   ///< rounds or wraps to element type `slot` (a DType), staying in `type`
  kBitcast,  ///< same bits as `type`, of the same width
  // Two arguments of one type.
  kAdd,
  kSub,
  kMul,
  kDiv,  ///< integers truncate; a zero divisor gives 0, not a trap
  kRem,  ///< sign of the dividend (C's %, fmod); integer by zero gives 0
  kMod,  ///< sign of the divisor (Python's %)
  kPow,
  kMin,
  kMax /* NaN if either is */,
  kAtan2,
  kBitAnd,
  kBitOr,
  kBitXor,
  kShl,
  kShr /* shifts past the width give 0 or the sign */,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kAnd,
  kOr,
  kXor /* bool */,
  // Three arguments.
  kSelect,  ///< args: condition, value if true, value if false; both sides may be evaluated
  // Reductions: args = {extent (i32), body}; `slot` is the loop variable's id.
  kReduceSum,
  kReduceProd,
  kReduceMin,
  kReduceMax /* NaN propagates */,
  kReduceAny,
  kReduceAll,
  ///< give the loop index as i32 (NaN beats every number, as in NumPy; over nothing: 0)
  kArgMinFirst,
  kArgMinLast,
  kArgMaxFirst,
  kArgMaxLast,
};

/// A handle to a node of one ExprProgram.
struct Expr {
  uint32_t id = UINT32_MAX;
  friend bool operator==(Expr, Expr) = default;
};

/// A node; args refer to earlier nodes only.
struct ExprNode {
  ExprOp op;
  Scalar type;
  uint32_t slot = 0;
  int64_t bits = 0;
  std::vector<Expr> args;
  friend bool operator==(const ExprNode&, const ExprNode&) = default;
};

/// A dimension of a kernel: a baked number, or one passed as a parameter. Extents that are equal in
/// every binding should share one parameter: collapse_axes merges axes only where it sees that.
struct Extent {
  int64_t value = 0;   ///< in the present binding
  int32_t param = -1;  ///< the parameter that carries it; -1: baked into the code
  /// Divides it in every binding; where that is not 1, extents alone use the parameter.
  int32_t multiple = 1;
  [[nodiscard]] bool baked() const { return param < 0; }
};

/// An input tensor of a program, dense and row-major.
struct ExprInput {
  DType dtype = DType::kUndefined;
  std::vector<Extent> dims;
  /// The value that a hand-written kernel has just computed for this element (an epilogue), given
  /// as an argument and not bound as a buffer.
  bool is_anchor = false;
};

struct ExprOutput {
  Expr value;
  DType dtype = DType::kUndefined;
};

/// A complete kernel: outputs, each dense over the whole domain. Integers in `params` are the
/// present binding's; everything else is the same in every binding, and is the kernel's identity.
struct ExprProgram {
  std::vector<ExprNode> nodes;
  std::vector<Extent> domain;
  std::vector<ExprInput> inputs;
  std::vector<ExprOutput> outputs;
  /// Integers by value, f32 as its 32 bits in the low word, f64 as its 64 bits.
  std::vector<int64_t> params;
  uint32_t loops = 0;  ///< loop variables are numbered below this

  [[nodiscard]] const ExprNode& at(Expr e) const { return nodes[e.id]; }
  [[nodiscard]] int64_t domain_count() const;
  /// A byte string equal for two programs exactly if they are the same but for `params`.
  [[nodiscard]] std::string key() const;
};

/// Builds the nodes of one program: hash-consed, constants folded, x*1, x+0 and the like removed.
class ExprBuilder {
 public:
  /// Continues a program, which may have nodes already; one builder at a time. Its domain and
  /// inputs should be set by now: what is baked there folds.
  explicit ExprBuilder(ExprProgram& program);

  // Leaves.
  Expr constant(Scalar type, double value);
  Expr constant_int(Scalar type, int64_t value);
  Expr i32(int64_t value) { return constant_int(Scalar::kI32, value); }
  Expr boolean(bool value) { return constant_int(Scalar::kBool, value); }
  /// A new parameter (equal values are not merged: they may differ in another binding).
  Expr param(Scalar type, int64_t value);
  /// A dimension as an i32 expression.
  Expr extent(const Extent& extent);
  Expr index(uint32_t axis);
  Expr load(uint32_t input, std::span<const Expr> index);
  Expr load_flat(uint32_t input, Expr flat);

  // Operations. The type is that of the first argument (of the second for select); arguments
  // must agree: `op` on unequal types is a broken invariant, reported by check().
  Expr unary(ExprOp op, Expr a);
  Expr binary(ExprOp op, Expr a, Expr b);
  Expr select(Expr condition, Expr if_true, Expr if_false);
  Expr cast(Expr a, Scalar type);   ///< the same handle where it has that type already
  Expr narrow(Expr a, DType type);  ///< the same handle where nothing changes
  Expr bitcast(Expr a, Scalar type);
  /// A fresh loop variable for `reduce`.
  Expr loop();
  /// Reduces `body`, which may use `variable` (from loop()), over 0 <= variable < extent.
  /// An equal reduction over another variable gives that one's handle. A reduction must not lie
  /// inside the body of another one over the same variable.
  Expr reduce(ExprOp op, Expr variable, Expr extent, Expr body);
  /// Any node but a load or reduction, folded where possible: for passes that rewrite programs.
  Expr make(ExprNode node);

  Expr add(Expr a, Expr b) { return binary(ExprOp::kAdd, a, b); }
  Expr sub(Expr a, Expr b) { return binary(ExprOp::kSub, a, b); }
  Expr mul(Expr a, Expr b) { return binary(ExprOp::kMul, a, b); }
  Expr div(Expr a, Expr b) { return binary(ExprOp::kDiv, a, b); }
  Expr min(Expr a, Expr b) { return binary(ExprOp::kMin, a, b); }
  Expr max(Expr a, Expr b) { return binary(ExprOp::kMax, a, b); }
  Expr lt(Expr a, Expr b) { return binary(ExprOp::kLt, a, b); }
  Expr eq(Expr a, Expr b) { return binary(ExprOp::kEq, a, b); }
  Expr logical_and(Expr a, Expr b) { return binary(ExprOp::kAnd, a, b); }
  Expr logical_or(Expr a, Expr b) { return binary(ExprOp::kOr, a, b); }
  Expr logical_not(Expr a) { return unary(ExprOp::kNot, a); }
  /// A number of the same type as `like`.
  Expr number(Expr like, double value) { return constant(type_of(like), value); }

  [[nodiscard]] Scalar type_of(Expr e) const { return program_.nodes[e.id].type; }
  /// The value of a constant integer node.
  [[nodiscard]] bool is_constant(Expr e, int64_t* value = nullptr) const;
  /// Proven bounds of an integer node, inclusive; the whole type where nothing is known.
  struct Range {
    int64_t lower, upper;
  };
  [[nodiscard]] Range range(Expr e) const { return ranges_[e.id]; }
  [[nodiscard]] ExprProgram& program() { return program_; }
  /// An error where a node was built from arguments of unequal types.
  [[nodiscard]] Result<void> check() const;

 private:
  Expr intern(ExprNode node);
  Expr fail(Scalar type, std::string_view what);
  [[nodiscard]] Range range_of(const ExprNode& node) const;
  Expr fold(const ExprNode& node);
  Expr fold_unary(const ExprNode& node);
  Expr fold_int(const ExprNode& node);
  Expr fold_float(const ExprNode& node);
  Expr fold_bool(const ExprNode& node);
  Expr fold_divide(const ExprNode& node);
  Expr fold_compare(const ExprNode& node);
  struct Renaming;
  [[nodiscard]] bool equal_renamed(Expr a, Expr b, Renaming& renaming) const;
  void record_facts(const ExprNode& node);

  ExprProgram& program_;
  std::unordered_map<std::string, uint32_t> interned_;
  std::vector<Range> ranges_;    // per node
  std::vector<uint64_t> loops_;  // per node: bit v % 64 for each loop variable v below it
  std::string first_error_;
};

/// Runs a program element by element. `inputs` and the results are dense and row-major.
Result<std::vector<HostTensor>> evaluate(const ExprProgram& program,
                                         std::span<const HostTensor* const> inputs);

/// Merges neighbouring domain axes that every load uses together, so that a kernel divides less
/// often: [batch, 4, 8] becomes one axis where all loads are contiguous or constant there.
void collapse_axes(ExprProgram& program);

/// Checks types, arity, slots, loop scoping, order; the generators rely on it.
Result<void> verify(const ExprProgram& program);
/// Readable text, for golden tests and `quern inspect`.
std::string print(const ExprProgram& program);

}  // namespace quern
