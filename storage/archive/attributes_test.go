package archive

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestAttributeError: an attribute that is too large is not taken for a full disk, which would end the restore.
func TestAttributeError(t *testing.T) {
	attribute := treeblob.ExtendedAttribute{Name: "user.big", Value: make([]byte, 5000)}
	for name, tt := range map[string]struct {
		err   error
		room  bool
		large bool
	}{
		"larger than any may be":         {unix.E2BIG, false, true},
		"larger than a block of ext4":    {unix.ENOSPC, true, true},
		"no space at all":                {unix.ENOSPC, false, false},
		"no quota, whatever others have": {unix.EDQUOT, true, false},
		"not supported":                  {unix.ENOTSUP, true, false},
	} {
		got := attributeError(attribute, tt.err, tt.room)
		if strings.Contains(got.Error(), "of 5000 bytes is larger") != tt.large || errors.Is(got, tt.err) == tt.large ||
			!strings.Contains(got.Error(), "user.big") || !strings.Contains(got.Error(), tt.err.Error()) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestIgnorable: root without all of root's rights, as in a mover, cannot set labels, but loses nothing else silently.
func TestIgnorable(t *testing.T) {
	person := os.Geteuid() != 0
	for name, want := range map[string]bool{
		"security.selinux": true, "security.ima": true, "security.SMACK64": true,
		"security.capability": person, "user.comment": person, accessList: person, "trusted.of": person,
	} {
		if got := ignorable(name, unix.EPERM); got != want {
			t.Errorf("that %s may not be set can be ignored: %t, want %t", name, got, want)
		}
	}
	if ignorable("user.comment", unix.ENOSPC) {
		t.Error("a full disk can be ignored")
	}
}

func TestHasRoom(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if !hasRoom(int(dir.Fd())) {
		t.Error("no room for temporary files")
	}
	if hasRoom(-1) {
		t.Error("room where there is no file system")
	}
}
