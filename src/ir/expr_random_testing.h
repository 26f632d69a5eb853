// Random expression programs for tests that compare evaluators.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ir/expr.h"
#include "ir/tensor.h"

namespace quern {

struct RandomCase {
  ExprProgram program;
  std::vector<HostTensor> inputs;

  [[nodiscard]] std::vector<const HostTensor*> input_pointers() const;
};

struct RandomOptions {
  Dims dims;  ///< of the domain
  int operations = 12;
  bool reductions = true;
  bool gathers = true;
};

/// A program that computes the same bits on every correct evaluator: no transcendentals, and float
/// sums over small whole numbers only. Loads are in range. Broadcast inputs, all element types,
/// gathers, nested reductions and several outputs occur; the seed decides everything.
RandomCase random_case(uint32_t seed, const RandomOptions& options);

/// A tensor of small random numbers of the type (floats: multiples of 1/4).
HostTensor random_tensor(DType dtype, const Dims& dims, std::mt19937& random);

/// The first element where `got` differs from `want`, in words; empty where they are equal (NaN
/// equals NaN, 0 equals -0).
std::string first_difference(const HostTensor& got, const HostTensor& want);

}  // namespace quern
