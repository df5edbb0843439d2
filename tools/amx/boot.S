# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Multiboot 1 entry, 32-bit: identity-maps 4 GB, enables AVX-512 and AMX, enters 64-bit C.
        .section .note.GNU-stack, "", @progbits
        .section .multiboot, "a"
        .align 4
        .long 0x1badb002, 0, -0x1badb002
        .text
        .code32
        .globl _start
_start: cli
        mov $stack_top, %esp
        # Page tables: 4 GB in 2 MB pages.
        mov $pd, %edi
        mov $0x83, %eax
        mov $2048, %ecx
1:      mov %eax, (%edi)
        movl $0, 4(%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 1b
        mov $pdpt, %edi
        mov $pd+3, %eax
        mov $4, %ecx
2:      mov %eax, (%edi)
        add $0x1000, %eax
        add $8, %edi
        loop 2b
        movl $pdpt+3, pml4
        mov $pml4, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x40620, %eax               # PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
        mov %eax, %cr4
        mov $0xc0000080, %ecx
        rdmsr
        or $0x100, %eax                 # LME
        wrmsr
        mov %cr0, %eax
        and $~4, %eax                   # no x87 emulation
        or $0x80000022, %eax            # PG, NE, MP
        mov %eax, %cr0
        xor %ecx, %ecx
        xor %edx, %edx
        mov $0x600e7, %eax              # x87, SSE, AVX, AVX-512, TILECFG, TILEDATA
        xsetbv
        lgdt gdtr
        ljmp $8, $long_mode
        .code64
long_mode:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov %eax, %fs
        mov %eax, %gs
        mov $stack_top, %rsp
        xor %ebp, %ebp
        call kernel_main
        hlt
        .data
        .align 8
gdt:    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr:   .word . - gdt - 1
        .long gdt
        .bss
        .align 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 16384
        .align 64
stack:  .skip 8 << 20
stack_top:
