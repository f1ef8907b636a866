package archive_test

import "syscall"

// unixStat is what Lstat gives beside the portable part.
type unixStat = syscall.Stat_t
