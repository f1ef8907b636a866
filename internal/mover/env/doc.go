// Package env is the environment of movers: which variables a person may give them, and how they come to know proxies.
//
// Everybody who may read pods can read their environment, so nothing secret goes there: Check refuses what looks like a secret.
// Settings of proxies are handed on by themselves, if the mover reaches the bucket where this process does (Variables.Give). One
// that holds a password goes into a file of the mover, which only the mover can read. The mover's process takes its settings from
// that file before anything asks for a proxy (TakeProxies).
package env
