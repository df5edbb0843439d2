// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The `buddy` dialect: only what upstream has no words for.

#ifndef BUDDY_OPS_TD
#define BUDDY_OPS_TD

include "mlir/Dialect/Arith/IR/ArithBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Buddy_Dialect : Dialect {
  let name = "buddy";
  let cppNamespace = "::buddy";
  let summary = "Compute ops that are scheduled whole.";
}

def Buddy_Shaped : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

class Buddy_Op<string mnemonic, list<Trait> traits = []>
    : Op<Buddy_Dialect, mnemonic, traits>;

/// Destination style, on tensors before bufferization and on memrefs after it.
class Buddy_DestinationOp<string mnemonic, list<Trait> traits = []>
    : Buddy_Op<mnemonic, traits # [
        DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

def Buddy_AttentionOp : Buddy_DestinationOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "Scaled dot-product attention with grouped queries.";
  let description = [{
    `out[b,h,i,:] = softmax_j(scale * q[b,h,i,:] . k[b,h/g,j,:] + mask) . v[b,h/g,j,:]`

    query `[B,H,T,D]`, key `[B,Hkv,L,D]`, value `[B,Hkv,L,Dv]`, init and result `[B,H,T,Dv]`;
    `g = H/Hkv` query heads share a key/value head. `valid` (default L) is the number of key
    positions that exist: a KV cache is read up to it. With `causal`, query i sees key j only
    if `j <= i + valid - T`. `mask` broadcasts to `[B,H,T,L]`: i1 selects, a float is added.
    Scores and the running softmax are f32 for any narrower float.

    `layouts`, if given, says in which order query, key, value and init have these dimensions, each
    by four numbers: 0, 2, 1, 3 is `[B,T,H,D]`, as a product leaves heads. D is innermost.
  }];
  let arguments = (ins Buddy_Shaped:$query, Buddy_Shaped:$key, Buddy_Shaped:$value,
                       Optional<Index>:$valid, Optional<Buddy_Shaped>:$mask, Buddy_Shaped:$init,
                       F32Attr:$scale, BoolAttr:$causal,
                       DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">:$layouts);
  let results = (outs Variadic<AnyRankedTensor>:$result);
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    /// The operands that have a layout, in the order of `layouts`, and what their dimensions are.
    enum Part { Query, Key, Values, Output };
    enum Dimension { Batch, Heads, Positions, Depth };
    static constexpr Part parts[] = {Query, Key, Values, Output};
    static constexpr int64_t rank = 4;
    ::mlir::Value part(Part part) {
      return ::std::array{getQuery(), getKey(), getValue(), getInit()}[part];
    }
    /// The dimensions of a part in the order in which it has them.
    ::llvm::ArrayRef<int64_t> layout(Part part);
    void setLayout(Part part, ::llvm::ArrayRef<int64_t> layout);
    /// Which dimension of a part is the batch, the heads, ...
    int64_t place(Part part, Dimension dimension);
    int64_t extent(Part part, Dimension dimension) {
      auto type = ::llvm::cast<::mlir::ShapedType>(this->part(part).getType());
      return type.getDimSize(place(part, dimension));
    }
  }];
}

def Buddy_ConvOp : Buddy_DestinationOp<"conv"> {
  let summary = "Convolution of any number of spatial dimensions, channels last, its kernel packed.";
  let description = [{
    `out[n,y,x,f] = sum_{i,j,c} input[n, y*sy + i*dy, x*sx + j*dx, c] * w[f,i,j,c]`

    input `[N,H,W,C]` with its padding in place, init and result `[N,OH,OW,F]`; a single image
    may go without N, and volumes have D before H. There are as many spatial dimensions as
    `kernel`, `strides` and `dilations` have numbers, and C is static. rhs holds w, seen as the
    `[F, KH*KW*C]` right-hand side of a matmul and packed like one, in which each of the runs that
    an output reads starts a step of its own: a row of the window, or an element of it where those
    of a row are not neighbours. The init is overwritten. Accumulates in f32.

    `zeros`, if given, are for each spatial dimension but the last the lines that the input begins
    with and those that it ends with that are padding: what they would add is left out.

    If `mirrored`, w is read backwards along all spatial dimensions, as the gradient of a
    convolution does: `w[f, KH-1-i, KW-1-j, c]`.

    `group` (channels, filters) divides C and F: filter f reads only the channels of its group,
    `f / filters`. The panels of a group begin with its first filter, unless a panel is as wide as
    several groups: then it holds those.
  }];
  let arguments = (ins Buddy_Shaped:$input, Buddy_Shaped:$rhs, Variadic<Index>:$zeros,
                       Buddy_Shaped:$init, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations,
                       DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">:$group, UnitAttr:$mirrored);
  let results = (outs Variadic<AnyRankedTensor>:$result);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    /// Whether a row of the window is one run: its elements are neighbours in input and w.
    static bool readsRows(int64_t width, int64_t dilation, bool mirrored, bool grouped) {
      return width == 1 || (dilation == 1 && !mirrored && !grouped);
    }
    int64_t spatialRank() { return getKernel().size(); }
    bool isGrouped() { return !getGroup().empty(); }
    /// Channels that an output reads.
    int64_t channels() {
      return isGrouped() ? getGroup()[0]
                         : ::llvm::cast<::mlir::ShapedType>(getInput().getType()).getShape().back();
    }
    /// Elements of the window.
    int64_t taps() { return ::llvm::product_of(getKernel()); }
    /// Elements of the window's width in one run.
    int64_t runWidth() {
      int64_t width = getKernel().back();
      return readsRows(width, getDilations().back(), getMirrored(), isGrouped()) ? width : 1;
    }
    /// Runs of the window.
    int64_t runs() { return taps() / runWidth(); }
    /// Columns of a panel.
    int64_t panelWidth() {
      return ::llvm::cast<::mlir::ShapedType>(getRhs().getType()).getDimSize(2);
    }
    /// Whether a panel holds the filters of several groups.
    bool sharesPanels() {
      return isGrouped() && getGroup()[1] < panelWidth() && panelWidth() % getGroup()[1] == 0;
    }
    /// Panels of a group that has some of its own.
    int64_t panelsOfGroup() { return ::llvm::divideCeil(getGroup()[1], panelWidth()); }
  }];
}

def Buddy_MatmulOp : Buddy_DestinationOp<"matmul"> {
  let summary = "Matrix product with a right-hand side that is packed, or that lies as it is.";
  let description = [{
    `out[m,n] = sum_k lhs[m,k] * rhs[n / nr, k / kr, n mod nr, k mod kr]`

    lhs `[M,K]`, rhs `[ceil(N/nr), ceil(K/kr), nr, kr]` (panels of `nr` columns in the order
    the register tile consumes them, zero padded; kr is 1, 2 for dot products of bf16, or 4 for
    those of bytes), init and result `[M,N]`. The init is overwritten, not accumulated into: a bias
    is an epilogue. Accumulates in f32; signed bytes in i32.

    What is not a weight is not worth a packed copy in memory. Then rhs is `[K,N]`, or `[N,K]` if
    `transposed`, and each tile packs what it needs. All three may have one leading batch
    dimension: lhs `[B,M,K]`, rhs `[B,K,N]`, init and result `[B,M,N]`.
  }];
  let arguments = (ins Buddy_Shaped:$lhs, Buddy_Shaped:$rhs, Buddy_Shaped:$init,
                       UnitAttr:$transposed);
  let results = (outs Variadic<AnyRankedTensor>:$result);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    bool isPacked() {
      return ::llvm::cast<::mlir::ShapedType>(getRhs().getType()).getRank() == 4;
    }
    /// Which dimension of an unpacked rhs is N.
    int64_t columnDimension() {
      auto rank = ::llvm::cast<::mlir::ShapedType>(getRhs().getType()).getRank();
      return getTransposed() ? rank - 2 : rank - 1;
    }
  }];
}

def Buddy_ParallelOp : Buddy_Op<"parallel", [AutomaticAllocationScope, RecursiveMemoryEffects]> {
  let summary = "Run by every thread of a team.";
  let description = [{
    The region's arguments are the number of the thread, from 0, and how many there are. It ends in
    `buddy.parallel_end`, where all threads wait for each other.
  }];
  let regions = (region AnyRegion:$body);
  let assemblyFormat = "$body attr-dict";
  let hasRegionVerifier = 1;
}

def Buddy_ParallelEndOp : Buddy_Op<"parallel_end", [
    Terminator, ReturnLike, Pure, ParentOneOf<["ParallelOp"]>]> {
  let summary = "The end of what a team of threads runs.";
  let assemblyFormat = "attr-dict";
}

def Buddy_ScatterOp : Buddy_DestinationOp<"scatter"> {
  let summary = "Rows written, or folded in, at computed positions.";
  let description = [{
    `for i in 0..N: out[positions[i], :] = kind(out[positions[i], :], source[i, :])`

    positions `[N]` of integers, source `[N,R]`, init and result `[M,R]`; the result starts as
    the init. Rows are taken in order, so that of colliding ones `assign` keeps the last and
    the others fold all. A position outside of 0..M is passed over.
  }];
  let arguments = (ins Buddy_Shaped:$positions, Buddy_Shaped:$source, Buddy_Shaped:$init,
                       AtomicRMWKindAttr:$kind);
  let results = (outs Variadic<AnyRankedTensor>:$result);
  let hasVerifier = 1;
}

def Buddy_SortOp : Buddy_DestinationOp<"sort"> {
  let summary = "The positions of each row's elements in sorted order.";
  let description = [{
    keys `[R,N]`, init and result `[2,R,N]` of i64: `out[0, r, i]` is where in row r the element is
    that comes i-th; `out[1]` is left in any state. Equal elements keep their order, integers are
    signed, and NaN is the largest number of all: last, or first where `descending`.
  }];
  let arguments = (ins Buddy_Shaped:$keys, Buddy_Shaped:$init, BoolAttr:$descending);
  let results = (outs Variadic<AnyRankedTensor>:$result);
  let hasVerifier = 1;
}

#endif
