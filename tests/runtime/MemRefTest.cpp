// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/MemRef.h"

#include <gtest/gtest.h>
#include <type_traits>

using namespace buddy::runtime;

static_assert(!std::is_copy_constructible_v<MemRef<float, 2>>, "copies are said aloud");
static_assert(!std::is_copy_assignable_v<MemRef<float, 2>>);

TEST(MemRef, OwnsAlignedZeroedMemory) {
  MemRef<float, 2> tensor({3, 5});
  EXPECT_TRUE(tensor.ownsMemory());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % bufferAlignment, 0u);
  for (float value : tensor)
    EXPECT_EQ(value, 0);
}

TEST(MemRef, IsRowMajor) {
  MemRef<int, 3> tensor({2, 3, 4});
  tensor(1, 2, 3) = 7;
  EXPECT_EQ(tensor[23], 7);
  EXPECT_EQ(tensor.elementCount(), 24);
  EXPECT_EQ(tensor.size(1), 3);
}

TEST(MemRef, DescriptorMatchesTheABI) {
  MemRef<float, 2> tensor({3, 5});
  auto *words = reinterpret_cast<int64_t *>(tensor.descriptor());
  EXPECT_EQ(words[1], reinterpret_cast<int64_t>(tensor.data()));
  EXPECT_EQ(words[2], 0);
  EXPECT_EQ(words[3], 3);
  EXPECT_EQ(words[4], 5);
  EXPECT_EQ(words[5], 5);
  EXPECT_EQ(words[6], 1);
}

TEST(MemRef, ViewsDoNotOwn) {
  float values[6] = {0, 1, 2, 3, 4, 5};
  {
    auto view = MemRef<float, 2>::view(values, {2, 3});
    EXPECT_FALSE(view.ownsMemory());
    view(1, 0) = 30;
  }
  EXPECT_EQ(values[3], 30);
}

TEST(MemRef, CopyIsIndependent) {
  float values[2] = {1, 2};
  MemRef<float, 1> copy = MemRef<float, 1>::view(values, {2}).Copy();
  values[0] = 9;
  EXPECT_TRUE(copy.ownsMemory());
  EXPECT_EQ(copy[0], 1);
}

TEST(MemRef, MovesWithoutCopying) {
  MemRef<float, 1> first({4});
  float *data = first.data();
  MemRef<float, 1> second = std::move(first);
  EXPECT_EQ(second.data(), data);
  MemRef<float, 1> third({1});
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
}

TEST(MemRef, RankZeroAndEmpty) {
  MemRef<int64_t, 1> empty({0});
  EXPECT_EQ(empty.elementCount(), 0);
  EXPECT_EQ(empty.begin(), empty.end());
}

TEST(MemRef, RefusesImpossibleSizes) {
  using Huge = MemRef<double, 2>;
  EXPECT_THROW(Huge({int64_t(1) << 40, int64_t(1) << 40}), std::bad_alloc);
  EXPECT_THROW(Huge({-1, 2}), std::bad_alloc);
}
