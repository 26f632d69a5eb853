// The nodes of an ExprProgram as WGSL statements.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"
#include "shader/lanes.h"

namespace quern {

/// An operator of one, two or three arguments on the texts of its arguments.
std::string op_text(const ExprNode& node, Scalar arg_type, const std::vector<std::string>& args);
/// Does `value` replace `best` in an arg-reduction? See arg_replaces().
std::string arg_replaces_text(ExprOp op, Scalar type, const std::string& value,
                              const std::string& best);

/// A parameter's place in the uniform: slots that the program uses, in order.
struct ParamField {
  uint32_t slot;
  Scalar type;
};
std::vector<ParamField> param_fields(const ExprProgram& program);
/// As fields of a struct, each behind a comma but the first: "p3: i32, p4: u32, p4h: u32".
std::string param_declaration(const ExprProgram& program, std::string_view prefix);
/// An extent, such as "12u" or "u32(p.p3)".
std::string extent_text(const Extent& extent, std::string_view param_prefix, bool as_u32);
/// The product of extents, as u32.
std::string count_text(const std::vector<Extent>& extents, std::string_view param_prefix);

/// Writes the value of expressions as statements of one function. Axis a's index is the i32
/// variable `i<a>`. Reductions become loops; what does not depend on a loop's variable stands
/// before the loop.
class ExprText {
 public:
  struct Options {
    std::string param_prefix = "p.p";  ///< parameter 3 is `p.p3` (a pair's high word `p.p3h`)
    /// A load: of input `slot` at the u32 expression `index`.
    std::function<std::string(uint32_t slot, const std::string& index)> load;
    /// Texts of nodes that are computed elsewhere; empty: here.
    std::vector<std::string> given;
    /// Forms of loads (LanePlan::loads); those kFlat are at the u32 variable `i`.
    const std::vector<LoadForm>* forms = nullptr;
    /// Not 0: reductions outside of other ones are shared by a workgroup of so many invocations
    /// (a power of two), whose number is the u32 variable `lid`.
    uint32_t shared_by = 0;
  };

  ExprText(const ExprProgram& program, const std::vector<NodeFacts>& facts, Options options);

  /// Adds statements for the values, and gives their texts (names, or short expressions). To be
  /// called once.
  std::vector<std::string> write(std::span<const Expr> values);
  /// The u32 index at which a load reads, after write() of its arguments.
  std::string load_index(Expr load);

  [[nodiscard]] const std::string& statements() const { return body_; }
  /// Bit a: `i<a>` is used. And whether `i` is.
  [[nodiscard]] uint32_t used_axes() const { return used_axes_; }
  [[nodiscard]] bool used_flat() const { return used_flat_; }
  /// Declarations of workgroup memory.
  [[nodiscard]] const std::string& shared() const { return shared_; }

 private:
  struct Loop;
  void write_scope(std::span<const Expr> values, uint64_t own);
  void write_node(uint32_t id, bool may_inline);
  std::string node_text(uint32_t id);
  void write_reduction(uint32_t id);
  Loop loop_of(uint32_t id, bool shared);
  void write_loop(const Loop& loop, const std::string& accumulate);
  void write_sum(const Loop& loop, const std::string& sum);
  void write_arg_reduction(uint32_t id, const Loop& loop, bool shared);
  std::string share(Scalar type, const std::string& value, std::string_view suffix);
  std::string param_text(uint32_t slot, Scalar type) const;
  std::string fresh(std::string_view prefix) { return cat(prefix, next_++); }
  std::string clamped(Expr index, const std::string& last);

  const ExprProgram& program_;
  const std::vector<NodeFacts>& facts_;
  Options options_;
  std::vector<std::string> texts_;       // per node, while its scope is open
  std::vector<uint8_t> depths_;          // per node: how deeply its text is nested
  std::vector<std::string> loop_names_;  // per loop slot
  uint64_t open_loops_ = 0;
  std::string body_;
  std::string shared_;
  uint32_t used_axes_ = 0;
  bool used_flat_ = false;
  uint32_t next_ = 0;
};

}  // namespace quern
