// A hand-written kernel with its configuration put in: see the directives in lower.h.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "shader/lower.h"
#include "shader/wgsl_text.h"

namespace quern {

struct KernelSource {
  std::vector<WgslDecl> decls;  ///< of the kernel's file
  std::vector<WgslDecl> used;   ///< of the snippets that it names by //@use
  bool stores_words = false;    ///< it has //@words
  std::vector<std::pair<std::string, double>> overrides;
  std::deque<std::string> texts;  ///< what the declarations' views refer to

  /// What an alias stands for, through any number of them; other types as they are.
  [[nodiscard]] std::string_view resolve(std::string_view type) const;
};

/// Reads `name`.wgsl: keeps or drops its //#if parts, replaces the values of //@config, collects
/// the values of overrides. An error where an entry of `config` is of no use in it.
Result<KernelSource> kernel_source(std::string_view name, const std::vector<ConfigEntry>& config);
/// The same for a text that is not embedded; `name` is for messages.
Result<KernelSource> kernel_source_of(std::string_view name, std::string_view text,
                                      const std::vector<ConfigEntry>& config);

/// instantiate() of such a source.
Result<ShaderText> instantiate_source(const KernelCall& call, KernelSource source,
                                      std::span<const BindingPlan> bindings,
                                      const ExprProgram* epilogue,
                                      std::span<const BindingPlan> epilogue_inputs,
                                      const Target& target);

}  // namespace quern
