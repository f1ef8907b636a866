// Package wait passes the time between two attempts.
//
// A pause ends when its time is over, or with its context: the error is then the context's cause, so that whoever waits
// knows why it is to end. The timer is given back in either case.
package wait
