//go:build e2e && e2elong

package e2e

import (
	"testing"
	"time"
)

// TestLongRoleKeysRenewed is TestRoleKeysRenewed with keys that last as long as those of a cloud at the least, and with a restore
// beside the backup. It takes three quarters of an hour; make test-long runs it.
func TestLongRoleKeysRenewed(t *testing.T) {
	k := newRoleKeys(t, 15*time.Minute)
	k.backUp(15, 12) // for 21 minutes each
	k.restore(12)
}
