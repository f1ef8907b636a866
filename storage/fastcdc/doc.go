// Package fastcdc says where to cut a stream of bytes into pieces, so that the same content is cut in the same places
// wherever it lies: FastCDC, by W. Xia and others, "The Design of Fast Content-Defined Chunking for Data Deduplication
// Based Storage Systems", IEEE TPDS 31(9), 2020, with a key.
//
//  1. A Gear hash rolls over the bytes: shift by one bit, add a random number that the table has for the byte. Bit k of it
//     depends on the last k+1 bytes, so that after 64 bytes nothing of what was before is left.
//  2. A piece ends behind the first byte at which certain bits of the hash are zero: up to the normal size log2(normal)+2
//     bits, behind it log2(normal)-2 ("normalized chunking"), so that sizes lie close together.
//  3. No piece is smaller than the smallest size, for which the hash need not even be calculated, or larger than the largest.
//
// The table is drawn from a key, which makes it hard to tell from the sizes of pieces of which well-known content they are.
// It hides no more than that: a file that is one piece shows its size, and who can have content of their choice stored, and
// sees the sizes, may learn about the table.
//
// Each hash needs the one before it. To have the processor wait less, two bytes are added at once, by a sum that does not
// need the hash, and the hash between them is calculated beside.
package fastcdc
