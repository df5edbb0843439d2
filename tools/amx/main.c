// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the products of products.mlir on a bare machine, compares them with plain loops and says
// on the serial port what came out.

#include <stddef.h>
#include <stdint.h>

enum { LINE_CONTROL = 0x3fb, LINE_STATUS = 0x3fd, DATA = 0x3f8, POWER = 0x8900 };

static void out_byte(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint8_t in_byte(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static void print(const char *text) {
  for (; *text; ++text) {
    while (!(in_byte(LINE_STATUS) & 0x20))
      ;
    out_byte(DATA, *text);
  }
}

static void print_number(int64_t number) {
  char digits[24], *first = digits + sizeof digits;
  *--first = 0;
  do
    *--first = '0' + number % 10;
  while (number /= 10);
  print(first);
}

// What compiled code expects of its surroundings.

static char heap[16 << 20] __attribute__((aligned(64)));
static size_t used;

void *malloc(size_t size) {
  void *start = heap + used;
  used += (size + 63) & ~(size_t)63;
  return start;
}

void *aligned_alloc(size_t alignment, size_t size) {
  (void)alignment; // at most 64
  return malloc(size);
}

void free(void *start) { (void)start; }

void *memset(void *to, int value, size_t size) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return to;
}

void *memcpy(void *to, const void *from, size_t size) {
  void *end = to;
  __asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(size)::"memory");
  return to;
}

// OpenMP with one thread.

int32_t __kmpc_global_thread_num(void *place) {
  (void)place;
  return 0;
}

void __kmpc_barrier(void *place, int32_t thread) { (void)place, (void)thread; }

void __kmpc_for_static_fini(void *place, int32_t thread) { (void)place, (void)thread; }

void __kmpc_for_static_init_8u(void *place, int32_t thread, int32_t schedule, int32_t *is_last,
                               uint64_t *lower, uint64_t *upper, int64_t *stride,
                               int64_t increment, int64_t chunk) {
  (void)place, (void)thread, (void)schedule, (void)increment, (void)chunk;
  *is_last = 1;
  *stride = *upper - *lower + 1;
}

void __kmpc_fork_call(void *place, int32_t count, void (*body)(int32_t *, int32_t *, void *),
                      void *shared) {
  int32_t thread = 0;
  (void)place, (void)count;
  body(&thread, &thread, shared);
}

// Data.

static uint32_t seed = 1;

static float random_value(void) {
  seed = seed * 1664525 + 1013904223;
  return (int32_t)seed / 2147483648.0f;
}

static uint16_t narrow(float value) {
  union {
    float value;
    uint32_t bits;
  } word = {value};
  return word.bits >> 16;
}

static float widen(uint16_t bits) {
  union {
    uint32_t bits;
    float value;
  } word = {(uint32_t)bits << 16};
  return word.value;
}

// Entry points, as runtime/include/buddy/runtime/ModelABI.h describes them.

typedef struct {
  void *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;

typedef struct {
  void *allocated, *aligned;
  int64_t offset, size, stride;
} Vector;

typedef struct {
  const char *name;
  void (*invoke)(void *const *);
  int64_t (*workspace)(void *const *);
  int k, n, has_epilogue;
} Product;

#define PRODUCT(name, k, n, has_epilogue)                                                          \
  {#name, buddy_invoke_##name, buddy_workspace_##name, k, n, has_epilogue}
#define DECLARE(name)                                                                              \
  void buddy_invoke_##name(void *const *);                                                         \
  int64_t buddy_workspace_##name(void *const *);
DECLARE(whole) DECLARE(ragged) DECLARE(dynamic) DECLARE(deep)

static int count_wrong(const Product *product, int m, const uint16_t *x, const uint16_t *w,
                       const float *b, const float *out) {
  int k = product->k, n = product->n, wrong = 0;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += (double)widen(x[i * k + l]) * widen(w[l * n + j]);
      if (product->has_epilogue)
        sum = sum + b[j] > 0 ? sum + b[j] : 0;
      double difference = sum - out[i * n + j];
      wrong += !(difference < 1e-4 && difference > -1e-4);
    }
  return wrong;
}

static int check(const Product *product, int m) {
  int k = product->k, n = product->n;
  used = 0;
  uint16_t *x = malloc(2 * m * k), *w = malloc(2 * k * n);
  float *b = malloc(4 * n), *out = malloc(4 * m * n);
  for (int i = 0; i < m * k; ++i)
    x[i] = narrow(random_value());
  for (int i = 0; i < k * n; ++i)
    w[i] = narrow(random_value());
  for (int i = 0; i < n; ++i)
    b[i] = random_value();
  Matrix rows = {x, x, 0, {m, k}, {k, 1}}, weights = {w, w, 0, {k, n}, {n, 1}},
         result = {out, out, 0, {m, n}, {n, 1}};
  Vector bias = {b, b, 0, n, 1}, workspace = {0};
  void *arguments[] = {&rows, &weights, &bias, &result, &workspace};
  int64_t bytes = product->workspace(arguments);
  void *memory = malloc(bytes);
  workspace = (Vector){memory, memory, 0, bytes, 1};
  product->invoke(arguments);
  int wrong = count_wrong(product, m, x, w, b, out);
  print(wrong ? "FAIL " : "pass ");
  print(product->name);
  print(" M=");
  print_number(m);
  print(" K=");
  print_number(k);
  print(" N=");
  print_number(n);
  print(" wrong=");
  print_number(wrong);
  print("\n");
  return wrong;
}

void kernel_main(void) {
  const Product whole = PRODUCT(whole, 512, 256, 0), ragged = PRODUCT(ragged, 129, 50, 1),
                dynamic = PRODUCT(dynamic, 96, 70, 1), deep = PRODUCT(deep, 1300, 40, 0);
  // At least 16 in each tile of 96: what vectors make of one row, correct on a CPU with
  // AVX512_BF16, comes out wrong on Bochs 3.0.
  const int rows[] = {16, 17, 31, 32, 47, 64, 96, 112, 130, 192};
  int wrong = 0;
  out_byte(LINE_CONTROL, 3); // words of eight bits
  wrong += check(&whole, 128) + check(&ragged, 37) + check(&deep, 48);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    wrong += check(&dynamic, rows[i]);
  print(wrong ? "FAILED\n" : "PASSED\n");
  while (!(in_byte(LINE_STATUS) & 0x40)) // until the last byte has left
    ;
  for (const char *word = "Shutdown"; *word; ++word)
    out_byte(POWER, *word);
}
