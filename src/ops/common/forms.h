// Forms of a kernel that a tuner chooses from (LowerContext::choose).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "shader/lower.h"

namespace quern {

/// Adds a form, unless there is one of its name: name_of(form).
template <class Form>
void add_new(std::vector<Form>& forms, const Form& form) {
  const std::string name = name_of(form);
  const auto is_same = [&](const Form& other) { return name_of(other) == name; };
  if (std::ranges::none_of(forms, is_same)) forms.push_back(form);
}

/// The form to take; `name` gives a form's name.
template <class Form, class Name>
Form pick(LowerContext& ctx, const std::string& problem, const std::vector<Form>& forms,
          const Name& name, bool whole = false) {
  std::vector<std::string> names;
  for (const Form& form : forms) names.push_back(name(form));
  return forms[ctx.choose(problem, names, whole)];
}

}  // namespace quern
