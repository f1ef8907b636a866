// Package resources decides what movers request from a node, and how much they may use at most.
//
// A person sets amounts with the flags of a command, or in a policy. This package reads amounts for both, so that
// both know the same names (Names). Amounts that nobody sets have defaults. If a request and a limit contradict each
// other, the default gives way to the one that a person set; if a person set both, it is an error (Requirements).
package resources
