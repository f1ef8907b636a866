package archive

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// describeChange says what happened to a file between two looks at it; "" if nothing happened. read is how many bytes
// were read in between.
func describeChange(before, after *unix.Stat_t, read int64) (ChangeKind, string) {
	switch {
	case read < before.Size:
		return Shrank, fmt.Sprintf("from %d to %d bytes while it was read", before.Size, read)
	case after.Nlink == 0 && before.Nlink > 0:
		return Vanished, "removed or replaced while it was read; saved as it was"
	case after.Size > before.Size:
		return Grew, fmt.Sprintf("from %d to %d bytes while it was read; saved at its first length", before.Size, after.Size)
	case after.Mtim != before.Mtim || after.Size != before.Size:
		return Changed, "written while it was read; parts of it may be older than others"
	case after.Ctim != before.Ctim:
		return Changed, "given another mode, owner, attribute or name while it was read"
	default:
		return "", ""
	}
}
