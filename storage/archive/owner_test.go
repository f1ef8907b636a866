package archive

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestSetOwner gives entries owners, as a user who may not set all of them. Each allowed part is set, and the result
// names the bits that would lend others' rights.
func TestSetOwner(t *testing.T) {
	const mine, others = 1000, 1001
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatalf("this test needs root's rights: %v", err)
	}
	defer func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	for _, tt := range []struct{ uid, gid, lent uint32 }{
		{mine, mine, 0}, {mine, others, unix.S_ISGID}, {others, mine, unix.S_ISUID}, {others, others, unix.S_ISUID | unix.S_ISGID},
	} {
		uid, gid := -1, -1
		chown := func(u, g int) error {
			if u == others || g == others {
				return unix.EPERM
			}
			if u >= 0 {
				uid = u
			}
			if g >= 0 {
				gid = g
			}
			return nil
		}
		lent, err := setOwner(treeblob.Node{UID: tt.uid, GID: tt.gid}, chown)
		if err != nil || lent != tt.lent {
			t.Errorf("%d:%d: lends %o, %v, want %o", tt.uid, tt.gid, lent, err, tt.lent)
		}
		if (uid == mine) != (tt.uid == mine) || (gid == mine) != (tt.gid == mine) {
			t.Errorf("%d:%d: it is %d:%d now", tt.uid, tt.gid, uid, gid)
		}
	}
	if _, err := setOwner(treeblob.Node{}, func(int, int) error { return unix.EIO }); err == nil {
		t.Error("a broken disk is nobody's lack of privileges")
	}
}
