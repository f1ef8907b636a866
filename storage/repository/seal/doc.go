// Package seal encrypts and authenticates bytes as restic's repository format has it: AES-256 in counter mode, and a Poly1305-AES
// MAC of what that gives. Sealed bytes are a random initialisation vector, the ciphertext and the MAC, one behind the other.
//
// A Key has three parts: one encrypts, and two make the MAC. The one-time key of each MAC is the second part, and the
// initialisation vector as the third one encrypts it. Nothing that is decrypted is handed out before the MAC was compared. What is
// too large to be in memory goes through a Check first and is decrypted as a stream afterwards; whoever does so keeps the sealed
// bytes where nobody can change them meanwhile.
package seal
