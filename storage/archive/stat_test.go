package archive_test

import "syscall"

// unixStat is what Lstat returns besides the portable part.
type unixStat = syscall.Stat_t
