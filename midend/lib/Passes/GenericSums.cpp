// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GenericSums.h"
#include "GenericEmitter.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// A nest of reductions, whose innermost steps fold `summands` elements into each carried value.
Values GenericEmitter::reductionNest(ArrayRef<int64_t> dims, ValueRange carried, int64_t summands,
                                     Body inner) {
  if (dims.empty())
    return inner(carried);
  int64_t steps = summands; // of one iteration; an extent that is not known counts as a long one
  for (int64_t d : dims.drop_front())
    steps = std::min(kSummands, steps * constantOf(extents[d]).value_or(kSummands));
  return reductionLoop(b.index(0), extents[dims[0]], 1, carried, steps,
                       [&](Value iv, ValueRange state) {
                         ivs[dims[0]] = iv;
                         return reductionNest(dims.drop_front(), state, summands, inner);
                       });
}

/// A loop each of whose iterations folds `summands` elements into each carried value; if that makes
/// long sums, a loop over parts that start anew, and so on: in `levels` loops if the extent is not
/// known.
Values GenericEmitter::reductionLoop(Value from, Value to, int64_t step, ValueRange carried,
                                     int64_t summands, function_ref<Values(Value, ValueRange)> body,
                                     int levels) {
  int64_t part = step * std::max<int64_t>(1, kSummands / std::max<int64_t>(1, summands));
  std::optional<int64_t> first = constantOf(from), last = constantOf(to);
  bool known = first && last;
  if (!sums || (known ? *last - *first <= part : levels == 1))
    return b.loop(from, to, step, carried, body);
  auto addPart = [&](Value begin, ValueRange totals) {
    Values zeros = neutrals(carried.size());
    if (part == step)
      return combine(totals, body(begin, zeros));
    return combine(totals, b.loop(begin, b.min(b.add(begin, part), to), step, zeros, body));
  };
  return reductionLoop(from, to, part, carried, /*summands=*/1, addPart, levels - 1);
}

/// The carried values of some steps and those of others, as one.
Values GenericEmitter::combine(ValueRange a, ValueRange c) {
  Values result;
  for (auto [i, pair] : llvm::enumerate(llvm::zip(a, c)))
    result.push_back(
        combine(combiners[i % combiners.size()], std::get<0>(pair), std::get<1>(pair)));
  return result;
}

/// What carried values start from.
Values GenericEmitter::neutrals(int64_t count) {
  Values result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(neutral(i % combiners.size()));
  return result;
}
