// Package odds3 is a small S3 server in this process, with the oddities of real S3 services. Each oddity is a field of
// Odds, and can be switched on and off while the server runs. What the real servers of the other tests do right, this
// one does wrong on request.
//
// It keeps objects in memory, under any bucket's name, in path style. It checks no signature.
package odds3
