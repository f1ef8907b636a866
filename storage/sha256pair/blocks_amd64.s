//go:build !purego

#include "textflag.h"

// constants are those of the rounds (FIPS 180-4, 4.2.2).
DATA constants<>+0x00(SB)/8, $0x71374491428a2f98
DATA constants<>+0x08(SB)/8, $0xe9b5dba5b5c0fbcf
DATA constants<>+0x10(SB)/8, $0x59f111f13956c25b
DATA constants<>+0x18(SB)/8, $0xab1c5ed5923f82a4
DATA constants<>+0x20(SB)/8, $0x12835b01d807aa98
DATA constants<>+0x28(SB)/8, $0x550c7dc3243185be
DATA constants<>+0x30(SB)/8, $0x80deb1fe72be5d74
DATA constants<>+0x38(SB)/8, $0xc19bf1749bdc06a7
DATA constants<>+0x40(SB)/8, $0xefbe4786e49b69c1
DATA constants<>+0x48(SB)/8, $0x240ca1cc0fc19dc6
DATA constants<>+0x50(SB)/8, $0x4a7484aa2de92c6f
DATA constants<>+0x58(SB)/8, $0x76f988da5cb0a9dc
DATA constants<>+0x60(SB)/8, $0xa831c66d983e5152
DATA constants<>+0x68(SB)/8, $0xbf597fc7b00327c8
DATA constants<>+0x70(SB)/8, $0xd5a79147c6e00bf3
DATA constants<>+0x78(SB)/8, $0x1429296706ca6351
DATA constants<>+0x80(SB)/8, $0x2e1b213827b70a85
DATA constants<>+0x88(SB)/8, $0x53380d134d2c6dfc
DATA constants<>+0x90(SB)/8, $0x766a0abb650a7354
DATA constants<>+0x98(SB)/8, $0x92722c8581c2c92e
DATA constants<>+0xa0(SB)/8, $0xa81a664ba2bfe8a1
DATA constants<>+0xa8(SB)/8, $0xc76c51a3c24b8b70
DATA constants<>+0xb0(SB)/8, $0xd6990624d192e819
DATA constants<>+0xb8(SB)/8, $0x106aa070f40e3585
DATA constants<>+0xc0(SB)/8, $0x1e376c0819a4c116
DATA constants<>+0xc8(SB)/8, $0x34b0bcb52748774c
DATA constants<>+0xd0(SB)/8, $0x4ed8aa4a391c0cb3
DATA constants<>+0xd8(SB)/8, $0x682e6ff35b9cca4f
DATA constants<>+0xe0(SB)/8, $0x78a5636f748f82ee
DATA constants<>+0xe8(SB)/8, $0x8cc7020884c87814
DATA constants<>+0xf0(SB)/8, $0xa4506ceb90befffa
DATA constants<>+0xf8(SB)/8, $0xc67178f2bef9a3f7
GLOBL constants<>(SB), RODATA|NOPTR, $256

// flip reverses the bytes of each word of 32 bits: messages are big-endian.
DATA flip<>+0x00(SB)/8, $0x0405060700010203
DATA flip<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL flip<>(SB), RODATA|NOPTR, $16

// A message has its state in two registers, as ABEF and CDGH, which is how the instructions take it, and sixteen words in
// four others. X0 is the operand that the rounds imply, X13 and X14 are to calculate with, X15 is flip, AX is constants,
// SI and DI are where the messages are. Two messages take turns after each four rounds: the processor looks far enough
// ahead to do them at the same time.

// ROUNDS12 does the first two of the four rounds number 4*k to 4*k+3, with the words in m, and ROUNDS34 the others.
#define ROUNDS12(k, m, s0, s1) \
	MOVO m, X0; \
	PADDD (k*16)(AX), X0; \
	SHA256RNDS2 X0, s0, s1

#define ROUNDS34(s0, s1) \
	PSHUFD $0x0e, X0, X0; \
	SHA256RNDS2 X0, s1, s0

// NEXT finishes the four words that follow those in m; prev are those before m.
#define NEXT(prev, m, next, tmp) \
	MOVO m, tmp; \
	PALIGNR $4, prev, tmp; \
	PADDD tmp, next; \
	SHA256MSG2 m, next

// LOAD takes four words of a message.
#define LOAD(k, ptr, m) \
	MOVOU (k*16)(ptr), m; \
	PSHUFB X15, m

// ROUNDS are four rounds with words that are there.
#define ROUNDS(k, m, s0, s1) \
	ROUNDS12(k, m, s0, s1); \
	ROUNDS34(s0, s1)

// EARLY are the first four rounds, which take the message as it is; so do the others up to the sixteenth.
#define EARLY(ptr, m, s0, s1) \
	LOAD(0, ptr, m); \
	ROUNDS(0, m, s0, s1)

// BEGUN are rounds after which the words prev and m begin to become later ones.
#define BEGUN(k, ptr, prev, m, s0, s1) \
	LOAD(k, ptr, m); \
	ROUNDS(k, m, s0, s1); \
	SHA256MSG1 m, prev

// MIDDLE are rounds that finish the next words and begin later ones, LATE those that only finish.
#define MIDDLE(k, prev, m, next, s0, s1, tmp) \
	LATE(k, prev, m, next, s0, s1, tmp); \
	SHA256MSG1 m, prev

#define LATE(k, prev, m, next, s0, s1, tmp) \
	ROUNDS12(k, m, s0, s1); \
	NEXT(prev, m, next, tmp); \
	ROUNDS34(s0, s1)

// ENTER turns a state from the order of its words into that of the instructions, LEAVE turns it back.
#define ENTER(ptr, s0, s1, tmp) \
	MOVOU (ptr), tmp; \
	MOVOU 16(ptr), s1; \
	PSHUFD $0xb1, tmp, tmp; \
	PSHUFD $0x1b, s1, s1; \
	MOVO tmp, s0; \
	PALIGNR $8, s1, s0; \
	PBLENDW $0xf0, tmp, s1

#define LEAVE(ptr, s0, s1, tmp) \
	PSHUFD $0x1b, s0, tmp; \
	PSHUFD $0xb1, s1, s1; \
	MOVO tmp, s0; \
	PBLENDW $0xf0, s1, s0; \
	PALIGNR $8, tmp, s1; \
	MOVOU s0, (ptr); \
	MOVOU s1, 16(ptr)

// KEEP puts a state on the stack, and MIX adds it to what the block has made of it.
#define KEEP(at, s0, s1) \
	MOVOU s0, at(SP); \
	MOVOU s1, (at+16)(SP)

#define MIX(at, s0, s1, tmp) \
	MOVOU at(SP), tmp; \
	PADDD tmp, s0; \
	MOVOU (at+16)(SP), tmp; \
	PADDD tmp, s1

// func blocks(state *[8]uint32, p *byte, n int)
TEXT ·blocks(SB), NOSPLIT, $32-24
	MOVQ state+0(FP), R8
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	LEAQ constants<>(SB), AX
	MOVOU flip<>(SB), X15
	ENTER(R8, X1, X2, X13)

block:
	KEEP(0, X1, X2)
	EARLY(SI, X3, X1, X2)
	BEGUN(1, SI, X3, X4, X1, X2)
	BEGUN(2, SI, X4, X5, X1, X2)
	LOAD(3, SI, X6)
	MIDDLE(3, X5, X6, X3, X1, X2, X13)
	MIDDLE(4, X6, X3, X4, X1, X2, X13)
	MIDDLE(5, X3, X4, X5, X1, X2, X13)
	MIDDLE(6, X4, X5, X6, X1, X2, X13)
	MIDDLE(7, X5, X6, X3, X1, X2, X13)
	MIDDLE(8, X6, X3, X4, X1, X2, X13)
	MIDDLE(9, X3, X4, X5, X1, X2, X13)
	MIDDLE(10, X4, X5, X6, X1, X2, X13)
	MIDDLE(11, X5, X6, X3, X1, X2, X13)
	MIDDLE(12, X6, X3, X4, X1, X2, X13)
	LATE(13, X3, X4, X5, X1, X2, X13)
	LATE(14, X4, X5, X6, X1, X2, X13)
	ROUNDS(15, X6, X1, X2)
	MIX(0, X1, X2, X13)
	ADDQ $64, SI
	DECQ CX
	JNZ  block

	LEAVE(R8, X1, X2, X13)
	RET

// func blocksOfTwo(state, other *[8]uint32, p, q *byte, n int)
TEXT ·blocksOfTwo(SB), NOSPLIT, $64-40
	MOVQ state+0(FP), R8
	MOVQ other+8(FP), R9
	MOVQ p+16(FP), SI
	MOVQ q+24(FP), DI
	MOVQ n+32(FP), CX
	LEAQ constants<>(SB), AX
	MOVOU flip<>(SB), X15
	ENTER(R8, X1, X2, X13)
	ENTER(R9, X7, X8, X14)

block:
	KEEP(0, X1, X2)
	KEEP(32, X7, X8)
	EARLY(SI, X3, X1, X2)
	EARLY(DI, X9, X7, X8)
	BEGUN(1, SI, X3, X4, X1, X2)
	BEGUN(1, DI, X9, X10, X7, X8)
	BEGUN(2, SI, X4, X5, X1, X2)
	BEGUN(2, DI, X10, X11, X7, X8)
	LOAD(3, SI, X6)
	MIDDLE(3, X5, X6, X3, X1, X2, X13)
	LOAD(3, DI, X12)
	MIDDLE(3, X11, X12, X9, X7, X8, X14)
	MIDDLE(4, X6, X3, X4, X1, X2, X13)
	MIDDLE(4, X12, X9, X10, X7, X8, X14)
	MIDDLE(5, X3, X4, X5, X1, X2, X13)
	MIDDLE(5, X9, X10, X11, X7, X8, X14)
	MIDDLE(6, X4, X5, X6, X1, X2, X13)
	MIDDLE(6, X10, X11, X12, X7, X8, X14)
	MIDDLE(7, X5, X6, X3, X1, X2, X13)
	MIDDLE(7, X11, X12, X9, X7, X8, X14)
	MIDDLE(8, X6, X3, X4, X1, X2, X13)
	MIDDLE(8, X12, X9, X10, X7, X8, X14)
	MIDDLE(9, X3, X4, X5, X1, X2, X13)
	MIDDLE(9, X9, X10, X11, X7, X8, X14)
	MIDDLE(10, X4, X5, X6, X1, X2, X13)
	MIDDLE(10, X10, X11, X12, X7, X8, X14)
	MIDDLE(11, X5, X6, X3, X1, X2, X13)
	MIDDLE(11, X11, X12, X9, X7, X8, X14)
	MIDDLE(12, X6, X3, X4, X1, X2, X13)
	MIDDLE(12, X12, X9, X10, X7, X8, X14)
	LATE(13, X3, X4, X5, X1, X2, X13)
	LATE(13, X9, X10, X11, X7, X8, X14)
	LATE(14, X4, X5, X6, X1, X2, X13)
	LATE(14, X10, X11, X12, X7, X8, X14)
	ROUNDS(15, X6, X1, X2)
	ROUNDS(15, X12, X7, X8)
	MIX(0, X1, X2, X13)
	MIX(32, X7, X8, X14)
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  block

	LEAVE(R8, X1, X2, X13)
	LEAVE(R9, X7, X8, X14)
	RET
