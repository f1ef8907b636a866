// Package mounts answers questions about this mount namespace from /proc/self/mountinfo.
package mounts
