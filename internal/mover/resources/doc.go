// Package resources says what movers request of a node, and what they may use at most.
//
// A person gives amounts with the flags of a command, or in a policy. Amounts are read here for both, so that both know the same
// names (Names). What nobody gives has a default. Of a request and a limit that contradict each other, the one that is a default
// gives way to the one that a person gave; if a person gave both, it is an error (Requirements).
package resources
