// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -verify-diagnostics -buddy-verify-phase=phase=bufferized

// What a phase promises is checked where the phase ends.
func.func @buffers(%x: memref<4xf32>, %i: index) -> f32 {
  %v = memref.load %x[%i] : memref<4xf32>
  return %v : f32
}

// -----

func.func private @tensors() {
  // expected-error @below {{must not be left in the state `bufferized`}}
  %e = tensor.empty() : tensor<4xf32>
  return
}

// -----

// A kernel's result is in its destination: a buffer that is returned is another one.
func.func private @kernel(%x: memref<4xf32>) -> memref<4xf32> attributes {buddy.kernel} {
  // expected-error @below {{must not be left in the state `bufferized`}}
  return %x : memref<4xf32>
}
