// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AMX on an x86-64 Linux host that lacks it: the instructions trap, and this library computes what
// they mean, as Intel's Software Developer's Manual states it. For tests; a trap costs microseconds.
//
// `emulate_amx()` takes over SIGILL; `emulated_products()` says how many products were computed.

#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

struct Config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[TILES];
  uint8_t padding[16];
  uint8_t rows[TILES];
  uint8_t more_padding[8];
};
_Static_assert(sizeof(struct Config) == 64, "the memory operand of ldtilecfg");

static _Thread_local struct Config config;
static _Thread_local uint8_t tiles[TILES][ROWS][ROW_BYTES];
static atomic_long products;
static struct sigaction previous;

// A VEX instruction of map 0F38, and where its operands are.
struct Instruction {
  int opcode, prefix; // prefix: 0 none, 1 66, 2 F3, 3 F2
  int mod, reg, rm, vvvv;
  uint8_t *address; // of the memory operand, without an index
  int64_t stride;   // what the index register adds a row
  int length;
};

static int64_t general_register(const ucontext_t *context, int number) {
  static const int places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                 REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                 REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[places[number]];
}

static void decode_memory(const ucontext_t *context, const uint8_t *code, int vex,
                          struct Instruction *out) {
  int high_base = vex & 0x20 ? 0 : 8, high_index = vex & 0x40 ? 0 : 8;
  const uint8_t *next = code + 5;
  int64_t address = 0;
  int base = out->rm;
  if (out->rm == 4) {
    int sib = *next++, index = (sib >> 3 & 7) + high_index;
    base = sib & 7;
    if (index != 4)
      out->stride = general_register(context, index) << (sib >> 6);
  }
  int size = out->mod == 1 ? 1 : out->mod == 2 ? 4 : 0;
  int no_base = out->mod == 0 && base == 5; // then a displacement alone, without SIB from rip
  if (no_base)
    size = 4;
  else
    address = general_register(context, base + high_base);
  int32_t displacement = 0;
  if (size == 1)
    displacement = (int8_t)*next;
  else if (size == 4)
    memcpy(&displacement, next, 4);
  next += size;
  out->length = next - code;
  if (no_base && out->rm == 5)
    address = (int64_t)next;
  out->address = (uint8_t *)(address + displacement);
}

static int decode(const ucontext_t *context, const uint8_t *code, struct Instruction *out) {
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || code[2] & 0x84)
    return 0;
  memset(out, 0, sizeof *out);
  out->prefix = code[2] & 3;
  out->vvvv = ~(code[2] >> 3) & 15;
  out->opcode = code[3];
  out->mod = code[4] >> 6;
  out->reg = code[4] >> 3 & 7;
  out->rm = code[4] & 7;
  out->length = 5;
  if (out->mod != 3)
    decode_memory(context, code, code[1], out);
  return 1;
}

static float bf16_at(const uint8_t *row, int element) {
  uint32_t bits = 0;
  memcpy((uint8_t *)&bits + 2, row + 2 * element, 2);
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static void multiply_bf16(uint8_t (*sums)[ROW_BYTES], uint8_t (*a)[ROW_BYTES],
                          uint8_t (*b)[ROW_BYTES], int m, int n, int k) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      float even = 0, odd = 0, sum;
      for (int l = 0; l < k; ++l) {
        even += bf16_at(a[i], 2 * l) * bf16_at(b[l], 2 * j);
        odd += bf16_at(a[i], 2 * l + 1) * bf16_at(b[l], 2 * j + 1);
      }
      memcpy(&sum, sums[i] + 4 * j, 4);
      sum += even + odd;
      memcpy(sums[i] + 4 * j, &sum, 4);
    }
}

static void multiply_int8(uint8_t (*sums)[ROW_BYTES], uint8_t (*a)[ROW_BYTES],
                          uint8_t (*b)[ROW_BYTES], int m, int n, int k, int prefix) {
  int signed_a = prefix & 2, signed_b = prefix & 1; // tdpbssd F2, tdpbsud F3, tdpbusd 66
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      int32_t sum;
      memcpy(&sum, sums[i] + 4 * j, 4);
      for (int l = 0; l < 4 * k; ++l) {
        uint8_t x = a[i][l], y = b[l / 4][4 * j + l % 4];
        sum += (signed_a ? (int8_t)x : x) * (signed_b ? (int8_t)y : y);
      }
      memcpy(sums[i] + 4 * j, &sum, 4);
    }
}

/// 1 if it was an instruction of AMX with shapes that a CPU accepts.
static int execute(const struct Instruction *op) {
  if (op->opcode == 0x49 && op->mod != 3 && op->prefix <= 1) {
    if (op->prefix == 1) // sttilecfg
      memcpy(op->address, &config, sizeof config);
    else // ldtilecfg, which zeroes the tiles
      memcpy(&config, op->address, sizeof config);
    if (op->prefix == 0)
      memset(tiles, 0, sizeof tiles);
    return config.palette <= 1;
  }
  if (op->opcode == 0x49 && op->prefix == 0) { // tilerelease
    memset(&config, 0, sizeof config);
    memset(tiles, 0, sizeof tiles);
    return 1;
  }
  int tile = op->reg;
  if (config.palette != 1 || config.rows[tile] == 0 || config.row_bytes[tile] == 0)
    return 0;
  if (op->opcode == 0x49 && op->prefix == 3) { // tilezero
    memset(tiles[tile], 0, sizeof tiles[tile]);
    return 1;
  }
  if (op->opcode == 0x4b && op->mod != 3) { // tileloadd, tileloaddt1, tilestored
    if (op->prefix != 2)
      memset(tiles[tile], 0, sizeof tiles[tile]);
    for (int row = 0; row < config.rows[tile]; ++row) {
      uint8_t *memory = op->address + row * op->stride;
      if (op->prefix == 2)
        memcpy(memory, tiles[tile][row], config.row_bytes[tile]);
      else
        memcpy(tiles[tile][row], memory, config.row_bytes[tile]);
    }
    return 1;
  }
  int a = op->rm, b = op->vvvv;
  if (op->mod != 3 || b >= TILES || (op->opcode != 0x5c && op->opcode != 0x5e))
    return 0;
  int m = config.rows[tile], n = config.row_bytes[tile] / 4, k = config.row_bytes[a] / 4;
  if (config.rows[a] != m || config.rows[b] != k || config.row_bytes[b] != 4 * n || a == b ||
      a == tile || b == tile)
    return 0;
  if (op->opcode == 0x5c && op->prefix == 2)
    multiply_bf16(tiles[tile], tiles[a], tiles[b], m, n, k);
  else if (op->opcode == 0x5e)
    multiply_int8(tiles[tile], tiles[a], tiles[b], m, n, k, op->prefix);
  else
    return 0;
  atomic_fetch_add(&products, 1);
  return 1;
}

static void trap(int signal, siginfo_t *info, void *data) {
  ucontext_t *context = data;
  uint8_t *code = (uint8_t *)context->uc_mcontext.gregs[REG_RIP];
  struct Instruction op;
  if (decode(context, code, &op) && execute(&op)) {
    context->uc_mcontext.gregs[REG_RIP] += op.length;
    return;
  }
  if (previous.sa_flags & SA_SIGINFO)
    return previous.sa_sigaction(signal, info, data);
  // On return the instruction traps again, and then ends the process.
  sigaction(signal, &previous, NULL);
}

void emulate_amx(void) {
  struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  struct sigaction current;
  sigaction(SIGILL, NULL, &current);
  if (current.sa_sigaction == trap)
    return;
  previous = current;
  sigaction(SIGILL, &action, NULL);
}

long emulated_products(void) { return atomic_load(&products); }
