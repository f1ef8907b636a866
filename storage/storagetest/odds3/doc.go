// Package odds3 is a small S3 server of ours, in this process, with the oddities that S3 services in the field have: each is
// a field of Odds, and can be switched on and off while the server runs. What the real servers of the other tests do right,
// this one does wrong on request.
//
// It keeps objects in memory, under any bucket's name, in path style. It looks at no signature.
package odds3
