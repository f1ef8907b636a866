// Package wait pauses between two attempts.
//
// A pause ends when its time is over, or with its context. In the latter case the error is the context's cause,
// so that the caller knows why to stop. The timer is released in either case.
package wait
