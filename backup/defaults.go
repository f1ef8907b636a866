package backup

import "time"

// What a Request asks for where nobody has said anything else.
const (
	// DefaultSnapshotTimeout is how long a driver may take to take a cut.
	DefaultSnapshotTimeout = 2 * time.Minute
	// DefaultReadyTimeout is how long it may take until a cut is ready: some clouds copy it to their object storage first, all of it.
	DefaultReadyTimeout = 4 * time.Hour
	// DefaultRetryLock is how long to wait for others who work on the repository: an exclusive lock is held for seconds as a rule,
	// and a backup is rather late than missing.
	DefaultRetryLock = 5 * time.Minute
)
