// Package fastcdc says where to cut a stream of bytes into pieces, so that the same content is cut in the same places
// wherever it lies: FastCDC, by W. Xia and others, "The Design of Fast Content-Defined Chunking for Data Deduplication
// Based Storage Systems", IEEE TPDS 31(9), 2020, with a key.
//
//  1. A Gear hash rolls over the bytes: shift by one bit, add a random number that the table has for the byte. Bit k of it
//     depends on the last k+1 bytes, so after 64 bytes nothing of earlier bytes is left.
//  2. A piece ends behind the first byte at which certain bits of the hash are zero: up to the normal size log2(normal)+2
//     bits, behind it log2(normal)-2 ("normalized chunking"), so that sizes lie close together.
//  3. No piece is smaller than the smallest size, up to which the hash need not even be computed, or larger than the largest.
//
// The table is drawn from a key, so the sizes of pieces hardly reveal which well-known content they have. The key hides
// no more than that: a file that is one piece shows its size, and somebody who can have chosen content stored, and sees
// the sizes, may learn about the table.
//
// Each hash needs the one before it. To make the processor wait less, two bytes are added at once, by a sum that does
// not need the hash, and the hash between them is computed in parallel.
package fastcdc
