// Package env handles the environment of movers: which variables a person may give them, and how they get proxy settings.
//
// Everybody who may read pods can read their environment, so nothing secret goes there: Check refuses what looks like a
// secret. Movers get this process's proxy settings automatically, if they reach the bucket at the same place
// (Variables.Give). A setting that contains a password goes into a file that only the mover can read. The mover's process
// takes its settings from that file before anything asks for a proxy (TakeProxies).
package env
