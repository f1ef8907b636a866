package backup

import "time"

// The defaults for a Request.
const (
	// DefaultSnapshotTimeout is how long a driver may take to take a cut.
	DefaultSnapshotTimeout = 2 * time.Minute
	// DefaultReadyTimeout is how long a cut may take to be ready: some clouds first copy all of it to their object storage.
	DefaultReadyTimeout = 4 * time.Hour
	// DefaultRetryLock is how long to wait for others who work on the repository: an exclusive lock is usually
	// held for seconds, and a late backup is better than none.
	DefaultRetryLock = 5 * time.Minute
)
