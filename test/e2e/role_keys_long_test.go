//go:build e2e && e2elong

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestLongRoleKeysRenewed is TestRoleKeysRenewed with keys that last as long as the shortest ones of a cloud, and with
// a restore beside the backup. It takes three quarters of an hour; make test-long runs it.
func TestLongRoleKeysRenewed(t *testing.T) {
	k := newRoleKeys(t, 15*time.Minute)
	k.backUp(15, 12) // for 21 minutes each
	k.restore(12)
}

// restore restores it at this many KiB/s.
func (k roleKeys) restore(rate int) {
	k.t.Helper()
	want := k.exec("web-0", "sha256sum /data/more")
	k.exec("web-0", "rm /data/more; sync")
	k.outlasted("restore", k.Namespace+"/web", "--yes", "--limit-download", fmt.Sprint(rate))
	k.waitReady("web")
	if got := k.exec("web-0", "sha256sum /data/more"); got != want {
		k.t.Errorf("restored %q, want %q", got, want)
	}
}
