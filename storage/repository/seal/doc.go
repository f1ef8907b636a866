// Package seal encrypts and authenticates bytes as restic's repository format prescribes: AES-256 in counter mode, and
// a Poly1305-AES MAC of the ciphertext. Sealed bytes are a random initialisation vector, the ciphertext and the MAC,
// one behind the other.
//
// A Key has three parts: one encrypts, and two make the MAC. The one-time key of each MAC is the second part, and the
// initialisation vector encrypted with the third part. This package hands out no decrypted byte before it has compared
// the MAC. Data that is too large for memory goes through a Check first and is decrypted as a stream afterwards; the
// caller must keep the sealed bytes where nobody can change them meanwhile.
package seal
