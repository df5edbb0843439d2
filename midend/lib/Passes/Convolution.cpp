// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Convolution.h"

#include "Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace buddy;

FailureOr<Convolution> Convolution::match(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return failure();
  auto isMultiplyAdd = [](Operation *first, Operation *second) {
    return isa<arith::MulFOp>(first) && isa<arith::AddFOp>(second);
  };
  auto dims = linalg::inferConvolutionDims(op);
  Value init = op.getDpsInits()[0];
  if (failed(dims) || dims->depth.size() > 1 || !isZeroFill(init) ||
      !linalg::detail::isContractionBody(*op.getBlock(), isMultiplyAdd))
    return failure();
  auto spatial = static_cast<int64_t>(dims->outputImage.size());
  Convolution result{op.getDpsInputs()[0], op.getDpsInputs()[1], init,           spatial,
                     !dims->depth.empty(), dims->strides,        dims->dilations};
  if (op.getIndexingMapsArray() != result.maps(op.getContext()))
    return failure();
  return result;
}

/// Of input, weight and init, over n, (g,) f, positions, c, elements of the window.
SmallVector<AffineMap> Convolution::maps(MLIRContext *context) const {
  int64_t parallel = 2 + grouped + spatial, loops = parallel + 1 + spatial;
  SmallVector<AffineExpr> d;
  for (int64_t loop = 0; loop < loops; ++loop)
    d.push_back(getAffineDimExpr(loop, context));
  ArrayRef<AffineExpr> all = d;
  SmallVector<AffineExpr> read(all.take_front(1 + grouped)), kernel(all.slice(1, 1 + grouped));
  read.push_back(all[parallel]);
  kernel.append(all.begin() + parallel, all.end());
  for (int64_t i = 0; i < spatial; ++i)
    read.push_back(all[2 + grouped + i] * strides[i] + all[parallel + 1 + i] * dilations[i]);
  auto map = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(loops, 0, exprs, context); };
  return {map(read), map(kernel), map(all.take_front(parallel))};
}
