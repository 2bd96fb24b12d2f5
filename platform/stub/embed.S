/* SPDX-License-Identifier: Apache-2.0 */
    .section .rodata
    .balign 4096
    .globl sbx_blob, sbx_blob_end
sbx_blob:
    .incbin BLOB_BIN
sbx_blob_end:
    .section .note.GNU-stack, "", @progbits
